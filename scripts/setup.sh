#!/bin/sh
# Makes this machine ready, on Debian and its kin: installs the packages that are missing, then the npm dependencies.
# Run again, it does nothing, quickly.
#
#   scripts/setup.sh build    what building and installing the command takes
#   scripts/setup.sh demo     that, and what building an image with Packer and QEMU takes
#   scripts/setup.sh check    that, and what the checks and all tests take
set -eu
cd "$(dirname "$0")/.."

die() {
  printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

note() {
  printf 'note: %s\n' "$1" >&2
}

purpose=${1:-check}
# To build: better-sqlite3 is native code, compiled where it ships no binary for this machine.
packages="ca-certificates g++ make python3"
demo="busybox-static cpio dropbear-bin mtools openssh-client packer procps qemu-system-x86 qemu-utils rsync syslinux util-linux"
case $purpose in
  build) ;;
  demo) packages="$packages $demo" ;;
  check) packages="$packages $demo curl iproute2 libfaketime libxml2-utils openssh-server shellcheck virt-v2v" ;;
  *) die "no such purpose: $purpose" "usage: $0 [build|demo|check]" ;;
esac

# --- Node ---

hint="install Node.js 20 or newer, with npm: from your distribution, or from https://nodejs.org/en/download"
command -v node >/dev/null || die "Node.js is missing" "$hint"
command -v npm >/dev/null || die "npm is missing" "$hint"
version=$(node --version)
major=${version#v}
[ "${major%%.*}" -ge 20 ] || die "Node.js $version is too old" "$hint"

# --- Debian's packages ---

missing_packages() {
  installed=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
    sed -n 's/^installed //p' | tr '\n' ' ')
  for package; do
    case " $installed " in
      *" $package "*) ;;
      # HashiCorp's own Packer, newer than Debian's, does as well.
      *) [ "$package" = packer ] && command -v packer >/dev/null || printf '%s ' "$package" ;;
    esac
  done
}

# The demo's guest is made of Debian's kernel package, which apt finds by its lists.
lists_lack_kernel() {
  [ "$purpose" != build ] && [ -z "$(apt-cache pkgnames linux-image-cloud-amd64)" ]
}

install_packages() {
  if [ "$(id -u)" = 0 ]; then
    sudo=""
  elif sudo -n true 2>/dev/null; then
    sudo=sudo
  else
    command="sudo apt-get update"
    [ -z "$*" ] || command="$command && sudo apt-get install -y --no-install-recommends $*"
    die "Debian packages are missing, and only root can install them" "$command"
  fi
  $sudo apt-get update -qq </dev/null
  [ -n "$*" ] || return 0
  printf 'installing %s\n' "$*"
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" </dev/null >/dev/null
  case " $* " in
    *" openssh-server "*)
      # The tests start an sshd of their own; the system's is not needed.
      [ ! -d /run/systemd/system ] || note "openssh-server may run now: 'systemctl disable --now ssh' stops it"
      ;;
  esac
}

# shellcheck disable=SC2086 # words are meant to split: names of packages
if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  note "no apt here: make sure that there is what these Debian packages hold: $packages"
else
  missing=$(missing_packages $packages)
  if [ -n "$missing" ] || lists_lack_kernel; then
    install_packages $missing
  fi
fi

# --- npm's ---

if [ ! -e node_modules/.package-lock.json ] ||
  [ -n "$(find package-lock.json -newer node_modules/.package-lock.json)" ]; then
  # Where Node came with its headers, native code is compiled against those, and none are downloaded.
  prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
  if [ -e "$prefix/include/node/node.h" ]; then
    export npm_config_nodedir="$prefix"
  fi
  npm ci --no-audit --no-fund --loglevel=error </dev/null
fi

node -e 'new (require("better-sqlite3"))(":memory:").close()' 2>/dev/null ||
  die "better-sqlite3 does not load in Node.js $version" \
    "npm rebuild better-sqlite3 (needs python3, make and g++; where npm asks for it: npm install-scripts approve better-sqlite3)"
