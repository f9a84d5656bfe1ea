// Shows the progress of an upload and its errors in place. Without this file the form works all the same.
(() => {
  const form = document.getElementById('upload');
  if (form === null) return;
  const error = document.getElementById('upload-error');
  const progress = document.getElementById('upload-progress');
  const bar = document.getElementById('upload-bar');
  const text = document.getElementById('upload-text');
  const file = document.getElementById('file');
  const ecu = document.getElementById('ecu');
  const button = form.querySelector('button[type=submit]');
  const maxBytes = Number(form.dataset.maxBytes);
  // The pages may stand below a path of a proxy.
  const home = new URL('./', form.action);

  function fail(message) {
    error.textContent = message;
    error.hidden = false;
    progress.hidden = true;
    button.disabled = false;
  }

  // ECU names are capitals: typing small letters is no mistake worth a message.
  ecu.addEventListener('change', () => {
    ecu.value = ecu.value.trim().toUpperCase();
  });

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    error.hidden = true;
    const image = file.files[0];
    if (image === undefined || image.size === 0) return fail('The file is empty: choose another.');
    if (image.size > maxBytes) {
      return fail(
        `The image has ${image.size.toLocaleString('en')} bytes, the limit is ${maxBytes.toLocaleString('en')}.`,
      );
    }
    const request = new XMLHttpRequest();
    let announced = -1;
    request.upload.addEventListener('progress', (step) => {
      const share = step.lengthComputable ? step.loaded / step.total : 0;
      bar.value = share;
      // A screen reader hears every quarter, not every packet.
      const quarter = Math.floor(share * 4);
      if (quarter === announced) return;
      announced = quarter;
      text.textContent = share < 1 ? `${quarter * 25} %` : 'Checking and storing';
    });
    request.addEventListener('load', () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {}
      if (request.status === 200 || request.status === 201) {
        location.assign(new URL(`?released=${encodeURIComponent(answer.file)}`, home));
      } else if (request.status === 401) {
        location.assign(new URL('login', home));
      } else {
        fail(answer.detail ?? `The server answered with status ${request.status}.`);
      }
    });
    request.addEventListener('error', () =>
      fail('The connection was lost: nothing was released, try again.'),
    );
    request.open('POST', form.action);
    request.setRequestHeader('Accept', 'application/json');
    request.setRequestHeader('X-CSRF-Token', form.elements.namedItem('_csrf').value);
    bar.value = 0;
    text.textContent = '';
    progress.hidden = false;
    button.disabled = true;
    request.send(new FormData(form));
  });
})();
