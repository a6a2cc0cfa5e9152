# SPDX-License-Identifier: GPL-3.0-or-later
# A server and an agent of a trust domain of their own, to be sourced by a test that has set `build`
# and stands in the tree's root. What it starts ends, and its folder goes, with the test.

readonly agent=$build/agent/assay-agent
readonly authority=$build/authority/assay-authority
readonly domain=peers.test
work=$(mktemp -d /tmp/assay-test.XXXXXX)
chmod 0755 "$work"
source scripts/processes.sh
source scripts/software-tpm.sh
clean_up() {
  stop_all
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
next_port=$((21000 + $$ % 9000))

has() { command -v "$1" >/dev/null; }
skip() { echo "SKIPPED: $*"; }

# Of benchmarks: runs `measure PROGRAM` with assay-agent, and with spire-agent where it is at hand.
measure_both() {
  measure "$agent"
  if has spire-agent; then
    measure spire-agent
  else
    skip "spire-agent is not on PATH"
  fi
}

server_command() { # upstream's program: the command line that speaks to it
  local program=$1
  shift
  "$program" "$@" -socketPath "$work/server.sock"
}

# Verifies DevIDs when make_devid_ca and start_software_tpm ran before, and x509pop certificates when
# make_pop_ca did, and SSH host certificates when make_ssh_ca did.
start_upstream() { # program, more NodeAttestor blocks, more lines of the server's block
  local pop=""
  if [[ -f "$work/pop-ca.pem" ]]; then
    pop="NodeAttestor \"x509pop\" { plugin_data { ca_bundle_path = \"$work/pop-ca.pem\" } }"
  fi
  if [[ -f "$work/ssh-ca.pub" ]]; then
    pop+=" NodeAttestor \"sshpop\" { plugin_data { cert_authorities_path = \"$work/ssh-ca.pub\" } }"
  fi
  local devid=""
  if [[ -f "$work/devid-ca.pem" ]]; then
    devid="NodeAttestor \"tpm_devid\" {
    plugin_data {
      devid_ca_path = \"$work/devid-ca.pem\"
      endorsement_ca_path = \"$work/tpm/ca/issuercert.pem\"
    }
  }"
  fi
  rm -rf "$work/server" "$work/server.sock"
  mkdir -m 0700 "$work/server"
  port=$((next_port++))
  cat >"$work/server.conf" <<CONF
server {
  trust_domain = "$domain"
  bind_address = "127.0.0.1"
  bind_port = "$port"
  socket_path = "$work/server.sock"
  data_dir = "$work/server"
  ${3:-}
}
plugins {
  DataStore "sql" {
    plugin_data {
      database_type = "sqlite3"
      connection_string = "$work/server/datastore.sqlite3"
    }
  }
  KeyManager "disk" { plugin_data { keys_path = "$work/server/keys.json" } }
  NodeAttestor "join_token" { plugin_data {} }
  $devid
  $pop
  ${2:-}
}
CONF
  start server "$1" run -config "$work/server.conf"
  await "a healthy ${1##*/}" server server_command "$1" healthcheck
  server_command "$1" bundle show >"$work/bundle.pem"
}

# Trusts what bootstrap_by says; unset: a file with the server's bundle. Beside its agent's and
# plugins' blocks the configuration has those of agent_blocks.
launch_agent() { # program, lines of the agent's block, NodeAttestor block, KeyManager block or none
  local key_manager=${4-"KeyManager \"disk\" { plugin_data { directory = \"$work/agent\" } }"}
  local by_file="trust_bundle_path = \"$work/bundle.pem\""
  rm -rf "$work/agent" "$work/api"
  mkdir -m 0700 "$work/agent"
  mkdir -m 0755 "$work/api"
  cat >"$work/agent.conf" <<CONF
agent {
  trust_domain = "$domain"
  server_address = "127.0.0.1"
  server_port = "$port"
  ${bootstrap_by:-$by_file}
  data_dir = "$work/agent"
  socket_path = "$work/api/api.sock"
  $2
}
plugins {
  $3
  $key_manager
  WorkloadAttestor "unix" { plugin_data {} }
}
${agent_blocks:-}
CONF
  start agent "$1" run -config "$work/agent.conf"
}

start_agent() { # as launch_agent
  launch_agent "$@"
  await "node attestation of ${1##*/}" agent \
    grep -q "Node attestation was successful" "$work/agent.log"
}

attest_by_token() { # server program, agent program
  local token
  token=$(server_command "$1" token generate -ttl 600 | sed -n 's/^Token: //p')
  start_agent "$2" "join_token = \"$token\"" 'NodeAttestor "join_token" { plugin_data {} }'
}

attest_by_devid() { # agent program, folder of the DevID, KeyManager block as of start_agent
  start_agent "$1" "" "NodeAttestor \"tpm_devid\" {
    plugin_data {
      tpm_device_path = \"$work/tpm/sock\"
      devid_cert_path = \"$2/devid.crt.pem\"
      devid_priv_path = \"$2/devid.priv.blob\"
      devid_pub_path = \"$2/devid.pub.blob\"
    }
  }" "${@:3}"
}

# A CA and an intermediate of it: pop-ca.pem, pop-between.pem.
make_pop_ca() {
  local extension
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=pop CA" \
    -addext "keyUsage=critical,keyCertSign" -keyout "$work/pop-ca.key" -out "$work/pop-ca.pem" \
    2>"$work/pop.log"
  extension=$(printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign')
  certify pop-between pop-ca "/CN=pop intermediate" "$extension" -newkey ec \
    -pkeyopt ec_paramgen_curve:P-256
}

# A key and a certificate of a CA for it, as FILE.key and FILE.pem in the test's folder.
certify() { # file stem, the CA's stem, subject, extensions, what says the new key
  local stem=$work/$1 ca=$work/$2 subject=$3
  printf '%s\n' "$4" >"$stem.ext"
  shift 4
  openssl req -new "$@" -nodes -subj "$subject" -keyout "$stem.key" -out "$stem.csr" \
    2>>"$work/pop.log"
  openssl x509 -req -in "$stem.csr" -CA "$ca.pem" -CAkey "$ca.key" -CAcreateserial -days 30 \
    -extfile "$stem.ext" -out "$stem.pem" 2>>"$work/pop.log"
}

make_pop_node() { # name, what says the new key
  local name=$1
  shift
  certify "pop-$name" pop-between "/CN=node $name" "keyUsage=critical,digitalSignature" "$@"
}

pop_attestor() { # name of the node
  echo "NodeAttestor \"x509pop\" {
    plugin_data {
      private_key_path = \"$work/pop-$1.key\"
      certificate_path = \"$work/pop-$1.pem\"
      intermediates_path = \"$work/pop-between.pem\"
    }
  }"
}

# An address of this machine that does not say that it is this machine's; empty when there is none.
own_address() {
  local address
  for address in $(hostname -I); do
    case $address in
      *:* | 127.* | 169.254.*) ;;
      *) echo "$address" && return ;;
    esac
  done
}

attest_by_http_challenge() { # agent program, own address
  start_agent "$1" "" \
    "NodeAttestor \"http_challenge\" { plugin_data { hostname = \"$2\" } }"
}

attest_by_x509pop() { # agent program, name of the node, lines of the agent's block
  start_agent "$1" "${3:-}" "$(pop_attestor "$2")"
}

make_ssh_ca() {
  ssh-keygen -q -t ed25519 -N "" -f "$work/ssh-ca"
}

make_ssh_host() { # key type
  ssh-keygen -q -t "$1" -N "" -f "$work/ssh-$1"
  ssh-keygen -q -s "$work/ssh-ca" -I "$1" -h -n "$1.example.org" "$work/ssh-$1.pub"
}

attest_by_sshpop() { # agent program, key type
  start_agent "$1" "" "NodeAttestor \"sshpop\" {
    plugin_data {
      host_key_path = \"$work/ssh-$2\"
      host_cert_path = \"$work/ssh-$2-cert.pub\"
    }
  }"
}

make_devid() { # key type
  local folder=$work/devid-$1
  "$agent" tpm provision -device "$work/tpm/sock" -dir "$folder" -subject "node $1" -keyType "$1" \
    >"$work/provision.log"
  sign_devid "$work/devid-ca" "$folder/devid.csr.pem" "$work/devid-$1.pem"
  "$agent" tpm provision -dir "$folder" -certificate "$work/devid-$1.pem" >>"$work/provision.log"
}

create_entry() { # server program, TTL in seconds
  local parent
  parent=$(server_command "$1" agent list | awk '/SPIFFE ID/ {print $NF; exit}')
  server_command "$1" entry create -parentID "$parent" -spiffeID "spiffe://$domain/workload" \
    -selector "unix:uid:$(id -u)" -x509SVIDTTL "$2" >"$work/entry.log"
}

# Asked of assay-agent's command line whoever serves, so that each agent meets a foreign client.
fetch() {
  rm -rf "$work/svids" && mkdir "$work/svids"
  "$agent" api fetch x509 -socketPath "$work/api/api.sock" -write "$work/svids" \
    >"$work/fetch.log" 2>&1 && [[ -f "$work/svids/svid.0.pem" ]]
}

# Ends server and agent, and keeps the software TPM.
stop_pair() {
  local keep
  keep=$(head -n 1 "$work/pids")
  sed -i 1d "$work/pids"
  stop_all
  echo "$keep" >"$work/pids"
}
