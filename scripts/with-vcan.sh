#!/bin/sh
# Runs a command with a vcan0: directly if the kernel has one or can make one, otherwise in a user-mode kernel.
set -eu

usage() {
  cat <<'END'
usage: scripts/with-vcan.sh COMMAND [ARGUMENT...]

Runs COMMAND with a virtual CAN interface vcan0 (CAN FD):
  * directly, where vcan0 is up, or can be made (vcan-setup.sh, as root);
  * otherwise in a user-mode kernel (Debian package user-mode-linux), which needs neither root
    nor CAN in the host's kernel. There COMMAND sees the host's files and this environment, runs
    in this folder as root of the guest, may write anywhere (/tmp included), and its changes
    are discarded afterwards. It has a loopback network and no input.

environment:
  CAN_OTA_OUT=DIR          a folder (absolute path) in which changes by COMMAND are kept,
  at the same path in the guest: for reports and traces
  CAN_OTA_GUEST_MEMORY=3G  memory of the user-mode kernel
  CAN_OTA_VCAN=direct|uml  force one of the two ways

exit code: that of COMMAND; 125 when no vcan0 can be made; 2 for wrong arguments
END
}

case "${1-}" in
  -h | --help) usage; exit 0 ;;
  '' | -*) usage >&2; exit 2 ;;
esac

here=$(cd "$(dirname "$0")" && pwd)
way=${CAN_OTA_VCAN:-}
reason=''

if [ "$way" != uml ]; then
  if reason=$("$here/../vcan-setup.sh" vcan0 2>&1 >/dev/null); then exec "$@"; fi
fi
if [ "$way" = direct ]; then
  echo "$reason" >&2
  exit 125
fi

uml=$(command -v linux.uml || true)
if [ -z "$uml" ] || [ ! -d /usr/lib/uml/modules ]; then
  cat >&2 <<END
with-vcan.sh: there is no vcan0, it cannot be made here, and there is no user-mode kernel to fall back to.
  either make one:                   sudo ./vcan-setup.sh
  or install the user-mode kernel:   sudo apt install user-mode-linux iproute2 kmod
$reason
END
  exit 125
fi
for program in ip insmod stty; do
  PATH=$PATH:/usr/sbin:/sbin command -v $program >/dev/null 2>&1 || {
    echo "with-vcan.sh: the user-mode kernel needs the program $program: sudo apt install iproute2 kmod coreutils" >&2
    exit 125
  }
done

exchange=$(mktemp -d "${TMPDIR:-/tmp}/can-ota-vcan.XXXXXX")
kernel=''
# shellcheck disable=SC2317 # called by the traps
clean() {
  if [ -n "$kernel" ]; then
    kill "$kernel" 2>/dev/null || true
    wait "$kernel" 2>/dev/null || true
  fi
  rm -rf "$exchange"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

results=''
if [ -n "${CAN_OTA_OUT:-}" ]; then
  mkdir -p "$CAN_OTA_OUT"
  results=$(cd "$CAN_OTA_OUT" && pwd)
  case $results in
    *[\ ,]*)
      echo "with-vcan.sh: CAN_OTA_OUT=$results: a path with spaces or commas cannot be handed to the kernel" >&2
      exit 125 ;;
  esac
fi

quoted() {
  printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"
}
{
  export -p
  # Unset TMPDIR, because the host's folder is not for temporary files of the guest.
  printf 'unset TMPDIR\ncd %s || exit 125\nexec' "$(quoted "$(pwd)")"
  for argument in "$@"; do printf ' %s' "$(quoted "$argument")"; done
  echo
} >"$exchange/command"

# The guest's memory is a sparse file; on a tmpfs it needs no disk writes.
memory_dir=${TMPDIR:-/tmp}
[ ! -w /dev/shm ] || memory_dir=/dev/shm

# Console 0 (kernel, init) goes to the log; consoles 1 and 2 are the command's standard output and error.
TMPDIR=$memory_dir "$uml" "mem=${CAN_OTA_GUEST_MEMORY:-3G}" \
  root=/dev/root rootfstype=hostfs rootflags=/ ro quiet \
  con=null con0=null,fd:1 con1=null,fd:3 con2=null,fd:4 \
  "init=$here/vcan-guest-init.sh" "can_ota_exchange=$exchange" ${results:+"can_ota_results=$results"} \
  3>&1 4>&2 >"$exchange/log" 2>&1 </dev/null &
kernel=$!
wait "$kernel" || true
kernel=''

if [ ! -s "$exchange/exit-code" ]; then
  echo 'with-vcan.sh: the user-mode kernel ended before the command did. Its last output:' >&2
  tail -n 20 "$exchange/log" >&2
  exit 125
fi
exit "$(cat "$exchange/exit-code")"
