#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Two Envoys speak mutual TLS on identities that assay-agent gives them by SDS, one by the
# state-of-the-world form, one by the delta form: through rotations without a failed request, and
# with nobody of another SPIFFE ID. Their entries are made when both already wait for them, and
# deleted at the end: then they speak until their certificates expire.
#
#   sds_test.sh BUILD_FOLDER [ROTATIONS]
#
# Envoy is $ASSAY_ENVOY, else on PATH; status 77 when it is not there.
set -euo pipefail
build=$(realpath "$1")
rotations=${2:-3}
cd "$(dirname "$0")/../.."

source tests/integration/pair.sh

envoy=${ASSAY_ENVOY:-envoy}
for tool in "$envoy" curl; do
  has "$tool" || { skip "$tool is not on PATH; ASSAY_ENVOY may name an Envoy"; exit 77; }
done

readonly lifetime=15 # Seconds of an X509-SVID.
server_port=$((next_port++))
server_admin=$((next_port++))
client_port=$((next_port++))
client_admin=$((next_port++))

# A secret by its name, in a line of YAML.
sds() { # name, api_type
  echo "{name: \"$1\", sds_config: {resource_api_version: V3, api_config_source: {
    api_type: $2, transport_api_version: V3, grpc_services: {envoy_grpc: {cluster_name: agent}}}}}"
}

# The TLS of one side, in a line of YAML.
tls() { # Upstream or Downstream, api_type, own SVID's name, bundle's name, the peer's SPIFFE ID
  local require=""
  [[ "$1" == Upstream ]] || require="require_client_certificate: true,"
  echo "{name: envoy.transport_sockets.tls, typed_config: {
    \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.$1TlsContext, $require
    common_tls_context: {
      tls_certificate_sds_secret_configs: [$(sds "$3" "$2")],
      combined_validation_context: {
        default_validation_context: {
          match_typed_subject_alt_names: [{san_type: URI, matcher: {exact: \"$5\"}}]},
        validation_context_sds_secret_config: $(sds "$4" "$2")}}}}"
}

# An endpoint, in a line of YAML.
at_port() { # name of the cluster, port
  echo "{cluster_name: $1, endpoints: [{lb_endpoints: [{endpoint: {
    address: {socket_address: {address: 127.0.0.1, port_value: $2}}}}]}]}"
}

# Each request on a connection of its own, so that each begins with a handshake.
cluster() { # name, own SVID's name, the server's SPIFFE ID
  echo "  - name: $1
    load_assignment: $(at_port "$1" "$server_port")
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        common_http_protocol_options: {max_requests_per_connection: 1}
        explicit_http_config: {http_protocol_options: {}}
    transport_socket: $(tls Upstream GRPC "$2" "spiffe://$domain" "$3")"
}

listener() { # port, line of its TLS or nothing, lines of its routes
  echo "  - name: inlet
    address: {socket_address: {address: 127.0.0.1, port_value: $1}}
    filter_chains:
    - ${2:+transport_socket: $2}
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: inlet
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          route_config:
            virtual_hosts:
            - name: all
              domains: [\"*\"]
              routes:
$3"
}

start_envoy() { # name, admin port, listeners, more clusters
  cat >"$work/$1.yaml" <<CONF
node: {id: $1, cluster: test}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: $2}}}
static_resources:
  listeners:
$3
  clusters:
  - name: agent
    load_assignment:
      cluster_name: agent
      endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: $work/api/api.sock}}}}]}]
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
$4
CONF
  start "$1" "$envoy" -c "$work/$1.yaml" --concurrency 1 --disable-hot-restart -l warning
}

register() { # path of the SPIFFE ID
  local parent
  parent=$(server_command "$authority" agent list | awk '/SPIFFE ID/ {print $NF; exit}')
  server_command "$authority" entry create -parentID "$parent" -spiffeID "spiffe://$domain/$1" \
    -selector "unix:uid:$(id -u)" -x509SVIDTTL "$lifetime" >"$work/entry.log"
}

status_of() { # path
  curl -s -o "$work/answer" -w '%{http_code}' --max-time 10 "http://127.0.0.1:$client_port$1" || true
}
answers() { [[ "$(status_of "$1")" == "$2" ]]; } # path, status
counts() { # admin port, end of a counter's name: its values
  curl -s --max-time 10 "http://127.0.0.1:$1/stats?usedonly" | sed -n "s/.*$2: //p"
}
# The serial number of what the client shows as its own.
serial() {
  curl -s --max-time 10 "http://127.0.0.1:$client_admin/certs" |
    tr -d ' \n' | grep -o '"cert_chain":\[{[^]]*"serial_number":"[0-9a-f]*"[^]]*/client"' |
    grep -o '"serial_number":"[0-9a-f]*"' | head -n 1 || true
}
expect_none_refused() {
  local admin
  for admin in "$client_admin" "$server_admin"; do
    [[ "$(counts "$admin" '\.update_success' | awk '{sum += $1} END {print sum + 0}')" -gt 0 ]] ||
      fail "an Envoy took nothing"
    [[ "$(counts "$admin" '\.update_rejected' | grep -cv '^0$' || true)" == 0 ]] ||
      fail "an Envoy refused what it was sent"
  done
  ! grep "errors applying secrets" "$work/agent.log" || fail "the agent was told of a refusal"
}
withdraw() { # path of the SPIFFE ID
  local id
  id=$(server_command "$authority" entry show -spiffeID "spiffe://$domain/$1" |
    sed -n 's/^Entry ID *: //p')
  server_command "$authority" entry delete -entryID "$id" >"$work/entry.log"
}

start_upstream "$authority"
attest_by_token "$authority" "$agent"
start_envoy server "$server_admin" "$(listener "$server_port" \
  "$(tls Downstream DELTA_GRPC "spiffe://$domain/server" ALL "spiffe://$domain/client")" \
  '              - {match: {prefix: /}, direct_response: {status: 200, body: {inline_string: served}}}')" ""
start_envoy client "$client_admin" "$(listener "$client_port" "" \
  '              - {match: {prefix: /wrong-server}, route: {cluster: wrong_server}}
              - {match: {prefix: /wrong-client}, route: {cluster: wrong_client}}
              - {match: {prefix: /}, route: {cluster: right}}')" \
  "$(cluster right "spiffe://$domain/client" "spiffe://$domain/server"
  cluster wrong_server "spiffe://$domain/client" "spiffe://$domain/other"
  cluster wrong_client "spiffe://$domain/server" "spiffe://$domain/server")"
await "an SDS stream that waits" agent grep -q "No identity issued" "$work/agent.log"
register client
register server
await "a request through both Envoys" client answers / 200
echo "PASSED: two Envoys speak mutual TLS on SDS identities, which came when they were registered"

for path in /wrong-server /wrong-client; do
  [[ "$(status_of "$path")" == 503 ]] || fail "a request to $path was answered $(cat "$work/answer")"
done
[[ -n "$(counts "$client_admin" 'cluster\.wrong_server\.ssl\.fail_verify_san')" ]] ||
  fail "the client did not refuse the server for its SPIFFE ID"
[[ -n "$(counts "$server_admin" 'listener\..*\.ssl\.fail_verify_san')" ]] ||
  fail "the server did not refuse the client for its SPIFFE ID"
echo "PASSED: neither takes a peer of another SPIFFE ID"

first=$(serial)
[[ -n "$first" ]] || fail "the client's certificate is not among those it shows"
seen=("$first")
requests=0
deadline=$((SECONDS + (rotations + 2) * lifetime))
while [[ ${#seen[@]} -le "$rotations" ]]; do
  [[ "$SECONDS" -lt "$deadline" ]] || fail "${#seen[@]} certificates in $requests requests"
  answer=$(status_of /)
  requests=$((requests + 1))
  [[ "$answer" == 200 ]] || fail "request $requests: status $answer, $(cat "$work/answer")"
  now=$(serial)
  [[ "$now" == "${seen[-1]}" ]] || seen+=("$now")
done
expect_none_refused
echo "PASSED: $requests requests, each on a connection of its own, through $rotations rotations"

withdraw client
withdraw server
await "the end of a certificate" client answers / 503
expect_none_refused
echo "PASSED: what is withdrawn is used until it expires, and neither refuses to be told"
