#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The image of deploy/image.sh: the digests in it hold, it is made twice the same, and its agent,
# unpacked into a folder that is its root, attests a node and serves an identity.
#
#   image_test.sh BUILD_FOLDER
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
source tests/integration/pair.sh

[[ $EUID -eq 0 ]] || { skip "needs root for a root folder of its own"; exit 77; }
for tool in unshare jq; do
  has "$tool" || { skip "$tool is not on PATH"; exit 77; }
done
unshare --mount true || { skip "mount namespaces are not permitted here"; exit 77; }

deploy/image.sh "$build" "$work/image.tar" test/agent:1 >"$work/image.log"
deploy/image.sh "$build" "$work/again.tar" test/agent:1 >>"$work/image.log"
cmp "$work/image.tar" "$work/again.tar" || fail "the image is not the same the second time"
rm "$work/again.tar"
mkdir "$work/layout" "$work/rootfs"
chmod 0755 "$work/rootfs"
tar -xf "$work/image.tar" -C "$work/layout"
blob() { echo "$work/layout/blobs/sha256/${1#sha256:}"; }
for file in "$work"/layout/blobs/sha256/*; do
  [[ "$(sha256sum "$file" | cut -d' ' -f1)" == "${file##*/}" ]] || fail "$file has another digest"
done
manifest=$(blob "$(jq -r '.manifests[0].digest' "$work/layout/index.json")")
config=$(blob "$(jq -r .config.digest "$manifest")")
[[ "$(jq -c .config.Entrypoint "$config")" == '["/opt/spire/bin/spire-agent","run"]' ]] ||
  fail "the image begins with something else than the agent"
[[ "$(jq -r '.[0].Layers[0]' "$work/layout/manifest.json")" == \
  "blobs/sha256/$(basename "$(blob "$(jq -r '.layers[0].digest' "$manifest")")")" ]] ||
  fail "the docker archive has another layer than the OCI layout"
tar -xpf "$(blob "$(jq -r '.layers[0].digest' "$manifest")")" -C "$work/rootfs"
echo "PASSED: the image holds what it says, $(du -sm "$work/rootfs" | cut -f1) MB"

in_image() { # program's arguments, in the image alone but for /proc
  unshare --mount bash -c '
    mount --bind /proc "$1/proc" && mount -t tmpfs tmpfs "$1/dev" && mknod -m 666 "$1/dev/null" c 1 3 &&
    mknod -m 666 "$1/dev/urandom" c 1 9 && mknod -m 666 "$1/dev/random" c 1 8 || exit 125
    root=$1
    shift
    exec unshare --root="$root" --wd=/opt/spire "$@"' in_image "$work/rootfs" "$@"
}

loader=$(ldd "$build/agent/assay-agent" | awk '$1 ~ /ld-linux/ {print $1}')
for library in libtss2-esys.so.0 libtss2-tcti-device.so.0 libtss2-tcti-swtpm.so.0 libcurl.so.4; do
  path=$(find "$work/rootfs" -name "$library" -printf '/%P')
  [[ -n "$path" ]] || fail "the image has no $library"
  in_image "$loader" --list "$path" >"$work/list.log" 2>&1 ||
    { cat "$work/list.log"; fail "what $library needs is not in the image"; }
done
[[ ! -f /etc/ssl/certs/ca-certificates.crt || -s "$work/rootfs/etc/ssl/certs/ca-certificates.crt" ]] ||
  fail "the image has no certificate authorities for https"

in_image ./bin/spire-agent --version 2>"$work/version" || fail "the agent does not run in the image"
start_upstream "$authority"
token=$(server_command "$authority" token generate -ttl 600 | sed -n 's/^Token: //p')
install -D -m 0600 /dev/stdin "$work/rootfs/opt/spire/conf/agent/agent.conf" <<CONF
agent {
  trust_domain = "$domain"
  server_address = "localhost"
  server_port = "$port"
  trust_bundle_path = "/etc/spire/agent/bundle.pem"
  data_dir = "/var/lib/spire/agent"
  join_token = "$token"
  log_level = "DEBUG"
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "disk" { plugin_data { directory = "/var/lib/spire/agent" } }
  WorkloadAttestor "unix" { plugin_data {} }
}
CONF
install -m 0644 "$work/bundle.pem" "$work/rootfs/etc/spire/agent/bundle.pem"
install -m 0644 /dev/stdin "$work/rootfs/etc/hosts" <<<"127.0.0.1 localhost"
start agent in_image /opt/spire/bin/spire-agent run
await "node attestation" agent grep -q "Node attestation was successful" "$work/agent.log"
create_entry "$authority" 600
in_image_fetch() { in_image ./bin/spire-agent api fetch x509 >"$work/fetch.log" 2>&1; }
await "an X509-SVID in the image" agent in_image_fetch
grep -q "spiffe://$domain/workload" "$work/fetch.log" || fail "another identity is served"
in_image ./bin/spire-agent healthcheck >/dev/null || fail "the agent in the image is not healthy"
echo "PASSED: the image's agent attests its node and serves an identity"
