#!/bin/sh
# Runs a command with a vcan0: directly if the kernel has one or can make one, otherwise in a user-mode kernel.
set -eu

name=${CAN_OTA_VCAN_NAME:-with-vcan.sh}
unset CAN_OTA_VCAN_NAME

usage() {
  cat <<END
usage: $name [OPTION...] [--] COMMAND [ARGUMENT...]

Runs COMMAND with a virtual CAN interface vcan0 that carries classic CAN and CAN FD:
  * directly, where vcan0 is up, or can be made (vcan-setup.sh, as root);
  * otherwise in a user-mode kernel (Debian package user-mode-linux), which needs neither root
    nor CAN in the host's kernel. There COMMAND sees the host's files, this environment and
    standard input, runs in this folder as root of the guest, may write anywhere (/tmp included),
    and its changes are discarded afterwards. It has a loopback network and one processor.

options:
  --interface NAME   the interface, in place of vcan0; repeatable, for several
  --out DIR          a folder in which changes by COMMAND are kept, at the same path in the
                     guest: for reports and traces (or CAN_OTA_OUT)
  --memory SIZE      memory of the user-mode kernel, like 3G (or CAN_OTA_GUEST_MEMORY)
  --way WAY          auto, direct or uml: force one of the two ways (or CAN_OTA_VCAN)
  -h, --help         this text

exit code: that of COMMAND; 125 when no vcan0 can be made; 2 for wrong arguments
END
}

wrong() {
  echo "$name: $1 (--help shows the options)" >&2
  exit 2
}

interfaces=''
way=${CAN_OTA_VCAN:-auto}
out=${CAN_OTA_OUT:-}
memory=${CAN_OTA_GUEST_MEMORY:-3G}
while [ $# -gt 0 ]; do
  option=$1
  case $option in
    -h | --help) usage; exit 0 ;;
    --) shift; break ;;
    --interface | --out | --memory | --way)
      [ $# -ge 2 ] || wrong "$option needs a value"
      value=$2
      shift 2 ;;
    --interface=* | --out=* | --memory=* | --way=*)
      value=${option#*=}
      option=${option%%=*}
      shift ;;
    -*) wrong "unknown option $option" ;;
    *) break ;;
  esac
  case $option in
    --interface) interfaces="$interfaces $value" ;;
    --out) out=$value ;;
    --memory) memory=$value ;;
    --way) way=$value ;;
  esac
  case $option=$value in
    --interface=*[!A-Za-z0-9._-]* | --interface= | --interface=????????????????*)
      wrong "\"$value\" is no interface name: 1 to 15 letters, digits, '.', '_' and '-'" ;;
  esac
done
[ $# -gt 0 ] || wrong 'expected a command'
interfaces=${interfaces:- vcan0}
case $way in auto | direct | uml) ;; *) wrong "--way $way: expected auto, direct or uml" ;; esac
case $memory in
  *[!0-9KMG]* | [KMG]* | '') wrong "--memory $memory: expected a size like 512M or 3G" ;;
esac

here=$(cd "$(dirname "$0")" && pwd)
setup=$(cd "$here/.." && pwd)/vcan-setup.sh
reason=''

if [ "$way" != uml ]; then
  made=yes
  for interface in $interfaces; do
    reason=$(sh "$setup" "$interface" 2>&1 >/dev/null) || { made=no; break; }
  done
  if [ $made = yes ]; then exec "$@"; fi
fi
if [ "$way" = direct ]; then
  echo "$reason" >&2
  exit 125
fi

uml=$(command -v linux.uml || true)
if [ -z "$uml" ] || [ ! -d /usr/lib/uml/modules ]; then
  cat >&2 <<END
$name: there is no$interfaces, it cannot be made here, and there is no user-mode kernel to fall back to.
  either make one:                   sudo $setup
  or install the user-mode kernel:   sudo apt-get install user-mode-linux iproute2 kmod
$reason
END
  exit 125
fi
for program in ip insmod stty; do
  PATH=$PATH:/usr/sbin:/sbin command -v $program >/dev/null 2>&1 || {
    echo "$name: the user-mode kernel needs the program $program: sudo apt-get install iproute2 kmod coreutils" >&2
    exit 125
  }
done

# A path in the command line of a kernel has no spaces.
temporary=${TMPDIR:-/tmp}
case $temporary in *[\ ,]*) temporary=/tmp ;; esac
exchange=$(mktemp -d "$temporary/can-ota-vcan.XXXXXX")
kernel=''
feeder=''
# shellcheck disable=SC2317 # called by the traps
clean() {
  if [ -n "$kernel" ]; then
    kill "$kernel" 2>/dev/null || true
    wait "$kernel" 2>/dev/null || true
  fi
  if [ -n "$feeder" ]; then
    # Its reader waits for input, which the caller may want itself.
    kill "$feeder" "$(cat "$exchange/reader" 2>/dev/null || true)" 2>/dev/null || true
    wait "$feeder" 2>/dev/null || true
  fi
  rm -rf "$exchange"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

results=''
if [ -n "$out" ]; then
  mkdir -p "$out"
  results=$(cd "$out" && pwd)
  case $results in
    *[\ ,]*)
      echo "$name: --out $results: a path with spaces or commas cannot be handed to the kernel" >&2
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
echo "$interfaces" >"$exchange/interfaces"
# The place of the package may have spaces, and an archive may have lost the mode of the file.
cp "$here/vcan-guest-init.sh" "$exchange/init"
chmod 755 "$exchange/init"

# Standard input goes through a console, which has no end: pieces go behind their length, and length 0 is the end.
mkfifo "$exchange/stdin"
exec 5<>"$exchange/stdin" 6<&0
# Bytes that come before the guest has opened the console would not be signalled to it.
feed() {
  until [ -e "$exchange/listens" ]; do sleep 0.1; done
  while :; do
    dd bs=65536 count=1 <&6 >"$exchange/piece" 5<&- 2>/dev/null &
    echo $! >"$exchange/reader"
    wait $! || true
    [ -s "$exchange/piece" ] || break
    printf '%08d\n' "$(wc -c <"$exchange/piece")"
    cat "$exchange/piece"
  done
  printf '%08d\n' 0
}
feed >"$exchange/stdin" 2>/dev/null &
feeder=$!

# The guest's memory is a sparse file; on a tmpfs it needs no disk writes.
memory_dir=$temporary
[ ! -w /dev/shm ] || memory_dir=/dev/shm

# Console 0 (kernel, init) goes to the log; consoles 1 and 2 are the command's standard output and error, 3 its input.
TMPDIR=$memory_dir "$uml" "mem=$memory" \
  root=/dev/root rootfstype=hostfs rootflags=/ ro quiet \
  con=null con0=null,fd:1 con1=null,fd:3 con2=null,fd:4 con3=fd:5,null \
  "init=$exchange/init" "can_ota_exchange=$exchange" ${results:+"can_ota_results=$results"} \
  3>&1 4>&2 6<&- >"$exchange/log" 2>&1 </dev/null &
kernel=$!
wait "$kernel" || true
kernel=''

if [ ! -s "$exchange/exit-code" ]; then
  echo "$name: the user-mode kernel ended before the command did. Its last output:" >&2
  tail -n 20 "$exchange/log" >&2
  exit 125
fi
exit "$(cat "$exchange/exit-code")"
