#!/usr/bin/env bash
# Makes the root file system of the image in a folder, without Docker:
#
#     deploy/image-root.sh DIST ROOT [DATA]
#
# DIST is a folder of `cargo xtask dist`; with DATA, a folder of data sets such as data/, the root is that of the demo's
# image. Debian comes by debootstrap, as root, from the mirror of this machine's apt or from MIRROR, once: a ROOT that
# is there already only gets the files of the image anew. Where Debian cannot be had, the script says so and takes what
# the programs need from this machine.
set -euo pipefail
dist=$1
root=$2
data=${3-}
here=$(dirname "${BASH_SOURCE[0]}")
suite=bookworm

# Prints the mirror from which this machine's apt takes Debian's main archive.
mirror() {
  apt-get indextargets --format '$(CREATED_BY) $(COMPONENT) $(SITE) $(REPO_URI)' |
    awk '$1 == "Packages" && $2 == "main" && $4 !~ /security/ { print $4; exit }'
}

debian() {
  local new=$root.new from=${MIRROR:-}
  rm -rf "$new"
  if ! command -v debootstrap >/dev/null; then
    echo "no debootstrap is here (apt-get install debootstrap)"
  elif [ "$(id -u)" -ne 0 ]; then
    echo "debootstrap needs root"
  elif [ -z "${from:=$(mirror)}" ]; then
    echo "this machine's apt names no archive of Debian: set MIRROR"
  elif ! debootstrap --variant=minbase "$suite" "$new" "$from" >"$root.log" 2>&1; then
    echo "debootstrap failed: see $root.log"
  else
    rm -rf "$new/var/cache/apt/archives" "$new/var/lib/apt/lists"
    mv "$new" "$root"
    return 0
  fi
  return 1
}

# The libraries of this machine that the programs load, a shell, and what starts the programs.
this_machine() {
  local programs=("$dist/bin/coordinator" "$dist/bin/layer-node" /bin/sh /usr/bin/env /bin/tar) new=$root.new
  rm -rf "$new"
  mkdir -p "$new"/{proc,tmp,dev,etc,bin,usr/bin}
  ldd "${programs[@]}" | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\/.*ld-linux/ { print $1 }' |
    grep -v "^$(realpath "$dist")" | sort -u | while read -r library; do
      mkdir -p "$new$(dirname "$library")"
      cp -L "$library" "$new$library"
    done
  cp -L /bin/sh /bin/tar "$new/bin/"
  cp -L /usr/bin/env "$new/usr/bin/"
  mv "$new" "$root"
}

if [ ! -e "$root" ]; then
  mkdir -p "$(dirname "$root")"
  if ! why=$(debian); then
    echo "no Debian for $root, whose libraries are this machine's instead: $why"
    this_machine
  fi
fi
rm -rf "$root/opt/neuropil" "$root/usr/share/neuropil"
sh "$here/image-files.sh" "$root" state
sh "$here/image-files.sh" "$root" programs "$dist"
if [ -n "$data" ]; then
  sh "$here/image-files.sh" "$root" demo "$data"
fi
echo "$root is ready"
