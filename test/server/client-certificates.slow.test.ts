// The second factor of devices: a client certificate in the header of a trusted proxy, in the forms that proxies send.

import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { pem } from '../support/link-servers.ts';
import { bearer, logIn, startSigned, TestVehicle, VIN } from './trust-support.ts';

const CA = pem('ca.pem');

function der(name: string): string {
  return new X509Certificate(pem(name)).raw.toString('base64');
}

/** A vehicle whose TMU is CO-000001, as the client certificate says. */
async function world(header?: string) {
  const deviceCertificates = { ca: CA, ...(header === undefined ? {} : { header }) };
  const backend = await startSigned({ trustProxy: true, deviceCertificates });
  const vehicle = await TestVehicle.provisioned(backend, VIN, ['TMU']);
  expect(vehicle.primary.serial).toBe('CO-000001');
  const token = await logIn(backend, vehicle.primary);
  const ask = async (headers: Record<string, string>) => {
    const reply = await backend.request('/latest_version', {
      headers: { ...bearer(token), ...headers },
    });
    return [reply.status, reply.status === 200 ? '' : reply.json.detail];
  };
  return { backend, ask };
}

describe('a device behind a proxy that has seen its certificate', () => {
  it('is let in with its own, in the form of RFC 9440 only under the header that the proxy sets', async () => {
    const { ask } = await world();
    expect(await ask({ 'client-cert': `:${der('client.pem')}:` })).toEqual([200, '']);
    expect(await ask({})).toEqual([403, expect.stringMatching(/none was shown/)]);
    const escaped = encodeURIComponent(pem('client.pem'));
    expect((await ask({ 'x-ssl-client-cert': escaped }))[0]).toBe(403);
  });

  it('is let in with the escaped PEM of nginx, and with bare Base64', async () => {
    const { ask } = await world('X-SSL-Client-Cert');
    const escaped = encodeURIComponent(pem('client.pem'));
    expect(await ask({ 'x-ssl-client-cert': escaped })).toEqual([200, '']);
    expect(await ask({ 'x-ssl-client-cert': der('client.pem') })).toEqual([200, '']);
  });

  it('is refused with any other certificate, and told why', async () => {
    const { ask, backend } = await world();
    const shown = (name: string) => ask({ 'client-cert': `:${der(name)}:` });
    expect(await shown('stranger.pem')).toEqual([403, expect.stringMatching(/none of the CAs/)]);
    expect(await shown('client-expired.pem')).toEqual([403, expect.stringMatching(/has expired/)]);
    expect(await shown('vin-client.pem')).toEqual([
      403,
      expect.stringMatching(/is for vehicle, .*and this device is CO-000001/),
    ]);
    for (const text of ['garbage', ':AAAA:', '%ZZ', `:${'A'.repeat(9000)}:`]) {
      expect(await ask({ 'client-cert': text })).toEqual([
        403,
        expect.stringMatching(/cannot be read/),
      ]);
    }
    const admin = await backend.login();
    const { entries } = (await admin.request('/audit?q=client%20certificate')).json;
    expect(entries[0]).toMatchObject({ action: 'refused.device', who: 'CO-000001' });
  });

  it('is refused around the proxy, whatever it writes into the header', async () => {
    const backend = await startSigned({
      trustProxy: ['127.0.0.9/32'],
      allowCidrs: ['127.0.0.0/8'],
      deviceCertificates: { ca: CA },
    });
    const vehicle = await TestVehicle.provisioned(backend, VIN, ['TMU']);
    const headers = {
      ...bearer(await logIn(backend, vehicle.primary)),
      'client-cert': `:${der('client.pem')}:`,
    };
    const around = await backend.request('/latest_version', { headers });
    expect([around.status, around.json.code]).toEqual([403, 'DEVICE_CERTIFICATE']);
    const through = await backend.request('/latest_version', { headers, from: '127.0.0.9' });
    expect(through.status).toBe(200);
  });

  it('needs a trusted proxy and the certificate of a CA', async () => {
    const ca = { deviceCertificates: { ca: CA } };
    await expect(startSigned(ca)).rejects.toThrow(/--device-ca: .*--trust-proxy/);
    const leaf = { trustProxy: true, deviceCertificates: { ca: pem('client.pem') } };
    await expect(startSigned(leaf)).rejects.toThrow(/not a certificate of a CA/);
  });
});
