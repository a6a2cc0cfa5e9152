#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Installs what Assay is built and tested with from Debian 12's packages, and says so first. Does
# nothing when all is there. As root, or through sudo.
#
#   scripts/install-deps.sh          to build and try it
#   scripts/install-deps.sh --test   and to test it
set -euo pipefail

packages=(
  g++ cmake ninja-build pkg-config ccache protobuf-compiler protobuf-compiler-grpc
  libwolfssl-dev libgrpc++-dev libprotobuf-dev libnghttp2-dev libtss2-dev
  libsqlite3-dev nlohmann-json3-dev libspdlog-dev libfmt-dev libabsl-dev
  libcurl4-openssl-dev libsystemd-dev libre2-dev libhttp-parser-dev
  prometheus-cpp-dev libgtest-dev libgmock-dev swtpm swtpm-tools openssl
)
if [[ "${1:-}" == "--test" ]]; then
  packages+=(clang-format-14 curl git jq procps tpm2-tools)
fi

missing=()
for package in "${packages[@]}"; do
  if [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != "installed" ]]; then
    missing+=("$package")
  fi
done
if [[ ${#missing[@]} -eq 0 ]]; then
  exit 0
fi

as_root=()
if [[ $EUID -ne 0 ]]; then
  if ! command -v sudo >/dev/null; then
    echo "missing packages: ${missing[*]}" >&2
    echo "install them as root, or install sudo, and run this again" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "installing from Debian's packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get -q -o DPkg::Lock::Timeout=300 update
"${as_root[@]}" apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends \
  "${missing[@]}"
