#!/bin/sh
# Builds a small Linux image with Packer and QEMU, and boots it. A second run is faster, because the base of the image is kept.
# All state is in one folder; to clean up, delete it.
#
#   scripts/demo.sh [STATE_DIRECTORY]    .demo in this checkout by default
set -eu
checkout=$(cd "$(dirname "$0")/.." && pwd)
state=${1:-$checkout/.demo}
mkdir -p "$state"
state=$(cd "$state" && pwd)
export SANDBOXER_HOME="$state"

program=$checkout/dist/bin.js
[ -r "$program" ] || {
  echo "demo: $program is missing: run 'make build' first" >&2
  exit 1
}
sandboxer() { node "$program" "$@"; }
title() { printf '\n== demo: %s\n' "$1" >&2; }

# An earlier demo may still use the name, even if it was interrupted.
before=$(sandboxer list -q --filter name=demo)
[ -z "$before" ] || sandboxer destroy "$before" --force --delete-artifacts >/dev/null

title 'sandboxer create --profile profile.tiny-linux -i vm_name=demo'
started=$(date +%s)
id=$(sandboxer create --profile profile.tiny-linux -i vm_name=demo -q)
took=$(($(date +%s) - started))
image=$(sandboxer artifact path "$id")
file=$(basename "$image")

title "sha256sum -c $file.sha256"
(cd "$(dirname "$image")" && sha256sum -c "$file.sha256")

title 'boot the image, log in, and run: uname -a && cat /data/message.txt'
"$checkout/scripts/boot-image.sh" "$image" 'uname -a && cat /data/message.txt'

title "built in $took s"
cat <<END
image     $image ($(du -m "$image" | cut -f1) MB)
look      SANDBOXER_HOME='$state' node '$program' show demo
boot      '$checkout/scripts/boot-image.sh' '$image'
clean up  rm -rf '$state'
END
