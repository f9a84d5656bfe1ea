#!/bin/sh
# First process of the user-mode kernel that with-vcan.sh starts: makes vcan0, runs the command, passes on its exit code.
# The host's files are the lower layer of an overlay: the command may write everywhere, and its changes are discarded.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
exchange=$(sed 's/.*can_ota_exchange=\([^ ]*\).*/\1/' /proc/cmdline)
results=$(sed -n 's/.*can_ota_results=\([^ ]*\).*/\1/p' /proc/cmdline)

finish() {
  sync
  poweroff -f 2>/dev/null || halt -f
}

modules=/usr/lib/uml/modules/$(uname -r)
for module in overlay can-dev can can-raw can-gw vcan vxcan; do
  file=$(find "$modules" -name "$module.ko" | head -n 1)
  [ -z "$file" ] || insmod "$file" || echo "insmod $module failed"
done

root=/mnt/root
mount -t tmpfs tmpfs /mnt &&
  mkdir /mnt/upper /mnt/work $root &&
  mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work $root || finish
mount -t proc proc $root/proc
mount -t sysfs sys $root/sys
mount -t devtmpfs dev $root/dev
mkdir -p $root/dev/pts $root/dev/shm
mount -t devpts devpts $root/dev/pts
mount -t tmpfs shm $root/dev/shm
chmod 1777 $root/dev/shm
mkdir -p "$root/tmp" "$root$exchange"
mount -t hostfs -o "$exchange" exchange "$root$exchange"
if [ -n "$results" ]; then
  mkdir -p "$root$results"
  mount -t hostfs -o "$results" results "$root$results"
fi

# The same as vcan-setup.sh --receive-buffer: one processor that also runs the senders needs buffers for seconds.
echo 16777216 >$root/proc/sys/net/core/rmem_default

ip link set lo up
for interface in $(cat "$root$exchange/interfaces"); do
  ip link add dev "$interface" type vcan
  ip link set "$interface" mtu 72 up
done

# Two consoles carry standard output and standard error separately, byte for byte. Pipes are in between, so that the
# command does not detect a terminal.
stty -F /dev/tty1 raw -echo 2>/dev/null
stty -F /dev/tty2 raw -echo 2>/dev/null
mkfifo /mnt/out /mnt/err
cat /mnt/out >/dev/tty1 &
out=$!
cat /mnt/err >/dev/tty2 &
err=$!

# Standard input comes in pieces, each behind its length as 8 digits and a line end; length 0 ends it. The console stays
# open between them, because bytes that have arrived are lost with its last reader.
mkfifo /mnt/in
exec 7</dev/tty3
stty raw -echo <&7 2>/dev/null
echo yes >"$root$exchange/listens"
while length=$(dd bs=9 count=1 iflag=fullblock <&7 2>/dev/null) && [ "$length" != 00000000 ]; do
  dd bs="$length" count=1 iflag=fullblock <&7 2>/dev/null
done >/mnt/in &

chroot $root /bin/sh "$exchange/command" </mnt/in >/mnt/out 2>/mnt/err 7<&-
code=$?
# Both end with the last writer; the script does not wait for processes that the command left running.
for _ in 1 2 3 4 5 6 7 8 9 10; do
  kill -0 $out 2>/dev/null || kill -0 $err 2>/dev/null || break
  sleep 0.1
done
echo $code >"$root$exchange/exit-code"
finish
