#!/bin/sh
# Boots an image of profile.tiny-linux with plain QEMU, waits for SSH, runs a command in the guest and shuts it down. The image
# is not changed. Exits with the command's exit code, or 1 if the guest does not answer.
#
#   scripts/boot-image.sh IMAGE [COMMAND...]
set -eu

boot_seconds=60
[ $# -ge 1 ] || {
  echo "usage: scripts/boot-image.sh IMAGE [COMMAND...]" >&2
  exit 2
}
image=$1
shift
[ $# -gt 0 ] || set -- "uname -a && cat /data/message.txt"

say() { echo "boot-image: $*" >&2; }
fail() {
  say "$1"
  exit "${2:-1}"
}
[ -r "$image" ] || fail "$image cannot be read" 2
for program in qemu-system-x86_64 ssh ssh-keygen; do
  command -v "$program" >/dev/null || fail "$program is missing: sudo apt-get install qemu-system-x86 openssh-client"
done

work=$(mktemp -d)
qemu=
# shellcheck disable=SC2317
finish() {
  if [ -n "$qemu" ]; then
    kill -KILL "$qemu" 2>/dev/null || :
    wait "$qemu" 2>/dev/null || :
  fi
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

running() { kill -0 "$qemu" 2>/dev/null; }
# QEMU's options escape a comma by doubling it.
option() { printf %s "$1" | sed 's/,/,,/g'; }
guest() {
  ssh -F none -i "$work/key" -p "$port" -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
    -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=5 \
    root@127.0.0.1 "$@"
}

# The image accepts no login by itself: the guest reads this key from fw_cfg while it runs.
ssh-keygen -q -t ed25519 -N '' -C boot-image -f "$work/key"
start() {
  qemu-system-x86_64 -name boot-image -machine pc,accel=tcg -m 512 -display none -no-reboot -snapshot \
    -drive "file=$(option "$image"),format=qcow2,if=virtio" \
    -netdev "user,id=net,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net,netdev=net \
    -fw_cfg "name=opt/sandboxer/authorized_keys,file=$(option "$work")/key.pub" \
    -serial "file:$work/console.log" </dev/null >"$work/qemu.log" 2>&1 &
  qemu=$!
}

# Polls until the guest answers. Fails as soon as QEMU has ended, or after boot_seconds.
answers() {
  deadline=$(($(date +%s) + boot_seconds))
  while sleep 0.2 && running && [ "$(date +%s)" -lt "$deadline" ]; do
    if guest true </dev/null 2>"$work/ssh.log"; then return 0; fi
  done
  return 1
}

# Only QEMU's own attempt shows whether a port is free; if it is taken, try the next one.
port=$((20000 + $$ % 10000))
attempts=20
start
until answers; do
  if running || ! grep -q 'host forwarding rule' "$work/qemu.log" || [ "$attempts" -eq 0 ]; then
    tail -n 20 "$work"/*.log >&2
    fail "the guest did not answer over SSH"
  fi
  attempts=$((attempts - 1)) port=$((port + 1))
  start
done
say "$image answers on 127.0.0.1:$port"

# In the background: a shell handles a signal while it waits, but not while a command runs in the foreground.
status=0
exec 3<&0
guest "$@" <&3 &
wait $! || status=$?

guest poweroff </dev/null >/dev/null 2>&1 || :
deadline=$(($(date +%s) + 15))
while running && [ "$(date +%s)" -lt "$deadline" ]; do
  sleep 0.2
done
exit "$status"
