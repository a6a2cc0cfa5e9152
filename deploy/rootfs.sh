#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Lays out the file system of the agent's image in a new folder: the agent at the place of
# spire-agent, the libraries that it loads, the system's certificate authorities, and the folders
# that a configuration written for spire-agent's image names.
#
#   deploy/rootfs.sh BUILD_FOLDER NEW_FOLDER
set -euo pipefail
build=$(realpath "$1")
root=$2
[[ ! -e "$root" ]] || { echo "${0##*/}: $root is there already" >&2; exit 1; }

# What is loaded by name: when a TPM is used the API, and the ways to a device and a simulator; when
# something is fetched over HTTP libcurl.
readonly loaded=(libtss2-esys.so.0 libtss2-tcti-device.so.0 libtss2-tcti-swtpm.so.0 libcurl.so.4)

copy() { # file: to the same place, by its real contents
  install -D -m 0755 "$(realpath "$1")" "$root$1"
}

libraries() { # of a program or a library, itself left out
  ldd "$1" | awk '$3 ~ /^\// {print $3} $1 ~ /^\// {print $1}'
}

install -D -m 0755 "$build/agent/assay-agent" "$root/opt/spire/bin/spire-agent"
ln -s spire-agent "$root/opt/spire/bin/assay-agent"
{
  libraries "$build/agent/assay-agent"
  for name in "${loaded[@]}"; do
    path=$(ldconfig -p | awk -v name="$name" '$1 == name && !found {print $NF; found = 1}')
    [[ -n "$path" ]] || { echo "${0##*/}: $name is not installed" >&2; exit 1; }
    echo "$path"
    libraries "$path"
  done
} | sort -u | while read -r library; do copy "$library"; done

# Where libcurl looks for them.
authorities=/etc/ssl/certs/ca-certificates.crt
if [[ -f "$authorities" ]]; then
  install -D -m 0644 "$authorities" "$root$authorities"
else
  echo "${0##*/}: without $authorities no https server is trusted in the image" >&2
fi
mkdir -p "$root"/etc/spire/agent "$root"/run/spire/agent/public "$root"/var/lib/spire/agent
# Names go to the file that the container runtime writes, then to its DNS server.
echo "hosts: files dns" >"$root/etc/nsswitch.conf"
mkdir -m 1777 "$root/tmp"
mkdir -p "$root/proc" "$root/dev" "$root/sys"
chmod -R go-w "$root/opt" "$root/etc" "$root/run" "$root/var"
