#!/bin/sh
# Sets up a virtual CAN interface that carries CAN FD. Running it again changes nothing.
set -eu

usage() {
  cat <<'END'
usage: vcan-setup.sh [--receive-buffer BYTES] [IFNAME]

Makes sure that the virtual CAN interface IFNAME (vcan0 when left out) exists, carries CAN FD
(mtu 72) and is up. Needs root, or CAP_NET_ADMIN, unless everything is already in place.

  --receive-buffer BYTES   the kernel keeps 278 frames for a socket whose reader is late and then
                           drops without a word: 65 ms of a full bus at 500 kbit/s. This gives all
                           sockets opened from now on more (net.core.rmem_default, needs root);
                           16777216 keeps 21,900 frames.

exit codes: 0 ready, 1 could not be set up (the message says what to do), 2 wrong arguments
END
}

name=vcan0
buffer=''
if [ "${1-}" = --receive-buffer ]; then
  buffer=${2-}
  case $buffer in '' | *[!0-9]*) usage >&2; exit 2 ;; esac
  shift 2
fi
case "${1-}" in
  -h | --help) usage; exit 0 ;;
  -*) usage >&2; exit 2 ;;
  '') ;;
  *) name=$1 ;;
esac
if [ $# -gt 1 ]; then usage >&2; exit 2; fi
case $name in
  *[!A-Za-z0-9._-]* | ????????????????*)
    echo "vcan-setup.sh: \"$name\" is no interface name: at most 15 letters, digits, '.', '_' and '-'" >&2
    exit 2 ;;
esac

fail() {
  echo "vcan-setup.sh: $1" >&2
  exit 1
}

if [ -n "$buffer" ]; then
  rmem=/proc/sys/net/core/rmem_default
  if [ "$(cat $rmem)" -lt "$buffer" ]; then
    { echo "$buffer" >$rmem; } 2>/dev/null ||
      fail "the receive buffer needs root: sudo sysctl -w net.core.rmem_default=$buffer"
  fi
fi

net=/sys/class/net/$name
command -v ip >/dev/null 2>&1 || PATH=$PATH:/usr/sbin:/sbin

is_up() {
  # IFF_UP is bit 0 of the flags.
  [ -r "$net/flags" ] && [ $(($(cat "$net/flags") & 1)) -eq 1 ]
}

ready() {
  [ -e "$net" ] && [ "$(cat "$net/mtu")" -ge 72 ] && is_up
}

if [ -e "$net" ] && [ "$(cat "$net/type")" != 280 ]; then
  fail "$name exists and is no CAN interface: take another name"
fi
if ready; then
  echo "$name is ready (CAN FD, up)"
  exit 0
fi

command -v ip >/dev/null 2>&1 || fail 'the program ip is missing: install the package iproute2'
again="sudo $0 $name"
if [ "$(id -u)" -ne 0 ]; then
  # CAP_NET_ADMIN is as good; a harmless request shows whether it is there.
  ip link set lo mtu "$(cat /sys/class/net/lo/mtu)" >/dev/null 2>&1 ||
    fail "this needs root: $again
(without root: use --bus local:bench, or can-ota vcan -- COMMAND, which brings a kernel of its own)"
fi

if [ ! -e "$net" ]; then
  # Built into the kernel, or loaded by the kernel itself on demand: then modprobe may fail or be missing.
  modprobe vcan >/dev/null 2>&1 || true
  modprobe can-raw >/dev/null 2>&1 || true
  ip link add dev "$name" type vcan 2>/dev/null || [ -e "$net" ] ||
    fail "this kernel ($(uname -r)) has no vcan.
Debian, Ubuntu:  sudo apt install linux-modules-extra-$(uname -r)   (cloud kernels leave vcan out)
Fedora:          sudo dnf install kernel-modules-extra
container:       load vcan on the host: sudo modprobe vcan
otherwise:       use --bus local:bench, or can-ota vcan -- COMMAND, which brings a kernel of its own"
fi
if [ "$(cat "$net/mtu")" -lt 72 ]; then
  # The mtu of an interface that is up cannot be changed.
  ip link set "$name" down
  ip link set "$name" mtu 72 || fail "$name does not take mtu 72: it cannot carry CAN FD"
fi
ip link set "$name" up || fail "$name could not be brought up"
ready || fail "$name is there but not ready: ip -d link show $name tells more"
echo "$name is ready (CAN FD, up)"
