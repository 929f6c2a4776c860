#!/bin/sh
# Prepares this machine (Debian and its derivatives): installs missing packages, then the npm dependencies. When everything
# is there, it returns at once.
#
#   scripts/setup.sh build    to build and install the command
#   scripts/setup.sh demo     also to build an image with Packer and QEMU
#   scripts/setup.sh check    also to run the checks and all tests
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
# better-sqlite3 is native code; it is compiled if it ships no binary for this machine.
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
      # HashiCorp's own Packer works, too; it is newer than Debian's.
      *) [ "$package" = packer ] && command -v packer >/dev/null || printf '%s ' "$package" ;;
    esac
  done
}

# The demo builds its guest from Debian's kernel package, so apt needs its package lists.
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
      # The tests start their own sshd; do not start the system's.
      [ ! -d /run/systemd/system ] || note "openssh-server may run now: 'systemctl disable --now ssh' stops it"
      ;;
  esac
}

# shellcheck disable=SC2086 # package names must split into words
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
  # If Node ships its headers, compile against them instead of downloading some.
  prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
  if [ -e "$prefix/include/node/node.h" ]; then
    export npm_config_nodedir="$prefix"
  fi
  npm ci --no-audit --no-fund --loglevel=error </dev/null
fi

node -e 'new (require("better-sqlite3"))(":memory:").close()' 2>/dev/null ||
  die "better-sqlite3 does not load in Node.js $version" \
    "npm rebuild better-sqlite3 (needs python3, make and g++; where npm asks for it: npm install-scripts approve better-sqlite3)"
