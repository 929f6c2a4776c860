#!/bin/sh
# Makes base.qcow2 in the current directory: a Linux that boots to SSH in seconds, of Debian 12 packages alone. They
# are downloaded and unpacked, not installed, so an ordinary user can run it and the result does not depend on what
# this machine has installed. The disk is one FAT file system: boot/ holds kernel and initramfs, the rest is free.
set -eu
umask 022

kernel_modules="virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk
  failover net_failover virtio_net nls_cp437 nls_ascii nls_iso8859-1 fat vfat qemu_fw_cfg"
programs="usr/sbin/dropbear usr/bin/dropbearkey usr/bin/scp usr/bin/rsync usr/lib/openssh/sftp-server"
packages="busybox-static dropbear-bin openssh-client openssh-sftp-server rsync
  libc6 libcrypt1 libgmp10 libtomcrypt1 libtommath1 zlib1g
  libacl1 liblz4-1 libpopt0 libssl3 libxxhash0 libzstd1"
disk_size=256M

say() { echo "make-base: $*"; }
fail() {
  echo "make-base: $1" >&2
  echo "hint: $2" >&2
  exit 1
}

missing=
for pair in apt-get:apt apt-cache:apt dpkg-deb:dpkg gzip:gzip mformat:mtools syslinux:syslinux qemu-img:qemu-utils; do
  command -v "${pair%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
[ -z "$missing" ] || fail "Debian packages are missing:$missing" "sudo apt-get install$missing"
[ "$(dpkg --print-architecture)" = amd64 ] || fail "this is not an amd64 machine" "run it on an amd64 Debian 12"

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "$PWD/make-base.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
debian=$work/debian root=$work/root disk=$work/disk.img
mkdir "$work/packages" "$debian" "$root"
update_hint="the lists of packages may be old or absent: sudo apt-get update; the release must be Debian 12"

# The package linux-image-cloud-amd64 is empty and depends on the newest kernel.
kernel=$(LC_ALL=C apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }')
[ -n "$kernel" ] || fail "apt does not know the package linux-image-cloud-amd64" "$update_hint"
say "downloading $kernel, dropbear, rsync and what they need"
# apt's own user could not write here when root runs this.
# shellcheck disable=SC2086
(cd "$work/packages" && apt-get -qq -o APT::Sandbox::User=root download "$kernel" $packages) ||
  fail "apt-get cannot download the packages" "$update_hint"

say "unpacking"
for package in "$work"/packages/*.deb; do
  dpkg-deb -x "$package" "$debian"
done

say "making the initramfs"
mkdir -p "$root/bin" "$root/etc" "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/lib64" "$root/lib/modules"
cp "$debian/bin/busybox" "$root/bin/"
cp "$here/init" "$root/init"
cp "$here/udhcpc.script" "$root/etc/"
chmod 755 "$root/init" "$root/etc/udhcpc.script"
for module in $kernel_modules; do
  cp "$(find "$debian/lib/modules" -name "$module.ko")" "$root/lib/modules/" ||
    fail "$kernel has no module $module" "init and make-base.sh were written for the kernel of Debian 12"
  echo "$module" >>"$root/lib/modules/order"
done

# Debian's own loader tells which of the unpacked libraries a program takes.
loader=lib64/ld-linux-x86-64.so.2
libraries=lib/x86_64-linux-gnu
cp -L "$debian/$loader" "$root/$loader"
mkdir -p "$root/$libraries"
for program in $programs; do
  mkdir -p "$root/$(dirname "$program")"
  cp "$debian/$program" "$root/$program"
  "$debian/$loader" --library-path "$debian/$libraries:$debian/usr/$libraries" --list "$debian/$program" >"$work/needs"
  awk -v debian="$debian/" 'index($3, debian) == 1 { print $3 }' "$work/needs" | while read -r library; do
    cp -L "$library" "$root/$libraries/"
  done
done
ln -s openssh/sftp-server "$root/usr/lib/sftp-server"
(cd "$root" && find . | "$debian/bin/busybox" cpio -o -H newc -R 0:0 2>/dev/null) | gzip >"$work/initrd.gz"

say "writing base.qcow2"
cat >"$work/syslinux.cfg" <<'END'
DEFAULT linux
LABEL linux
  KERNEL vmlinuz
  INITRD initrd.gz
  APPEND console=tty0 console=ttyS0 quiet panic=1
END
truncate -s "$disk_size" "$disk"
mformat -i "$disk" -h 255 -s 63 -v TINY ::
mmd -i "$disk" ::boot
mcopy -i "$disk" "$debian"/boot/vmlinuz-* ::boot/vmlinuz
mcopy -i "$disk" "$work/initrd.gz" "$work/syslinux.cfg" ::boot
syslinux --install --directory /boot "$disk"
qemu-img convert -f raw -O qcow2 "$disk" "$work/base.qcow2"
# Packer checks it: the template names this file.
(cd "$work" && sha256sum base.qcow2) >base.qcow2.sha256
mv "$work/base.qcow2" base.qcow2
say "made base.qcow2, $(du -m base.qcow2 | cut -f1) MB"
