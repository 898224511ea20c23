#!/bin/sh
# The files of the image, part by part: the one list of them, for the Dockerfile and for image-root.sh.
#
#     image-files.sh ROOT state             the folder for state
#     image-files.sh ROOT programs DIST     the programs, out of a folder of `cargo xtask dist`
#     image-files.sh ROOT torch SITE        the libraries of PyTorch, out of a folder of pip
#     image-files.sh ROOT demo DATA         the demo's data set, out of data/, and the demo's configuration
set -eu
umask 022
root=$1
part=$2
repository=$(dirname "$0")/..

# Copies a file or folder to a place; links become what they lead to, and every user may read it.
put() {
  mkdir -p "$(dirname "$root$2")"
  cp -RL "$1" "$root$2"
  chmod -R u=rwX,go=rX "$root$2"
}

case $part in
state)
  mkdir -p "$root/var/lib/neuropil"
  # A volume is mounted here. Without one, any user may write, since a cluster chooses the user.
  chmod 1777 "$root/var/lib/neuropil"
  ;;
programs)
  put "$3" /opt/neuropil
  ;;
torch)
  # Libraries find each other by their places in relation to torch/lib.
  put "$3/torch/lib" /opt/pytorch/torch/lib
  put "$3/nvidia" /opt/pytorch/nvidia
  for terms in "$3"/torch-*.dist-info "$3"/nvidia_*.dist-info; do
    put "$terms" "/opt/pytorch/$(basename "$terms")"
  done
  ;;
demo)
  put "$3/fashion-mnist" /usr/share/neuropil/data/fashion-mnist
  put "$repository/examples/fashion.toml" /usr/share/neuropil/examples/fashion.toml
  ;;
*)
  echo "image-files.sh: there is no part $part: state, programs, torch and demo are" >&2
  exit 2
  ;;
esac
