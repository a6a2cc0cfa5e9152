# SPDX-License-Identifier: GPL-3.0-or-later
# A software TPM with an endorsement certificate, as a maker would issue one, and the CA of an owner
# who certifies DevID keys. To be sourced after processes.sh.

# Makes the TPM's state and its maker's CA in a folder, and serves it at FOLDER/sock.
# FOLDER/ca/issuercert.pem is what a verifier trusts.
start_software_tpm() {
  local folder=$1
  mkdir -p "$folder/state" "$folder/ca"
  cat >"$folder/localca.conf" <<-CONF
	statedir = $folder/ca
	signingkey = $folder/ca/signkey.pem
	issuercert = $folder/ca/issuercert.pem
	certserial = $folder/ca/certserial
	CONF
  printf -- '--platform-manufacturer Assay\n--platform-version 1\n--platform-model software\n' \
    >"$folder/localca.options"
  cat >"$folder/setup.conf" <<-CONF
	create_certs_tool=/usr/bin/swtpm_localca
	create_certs_tool_config=$folder/localca.conf
	create_certs_tool_options=$folder/localca.options
	active_pcr_banks=sha256
	CONF
  swtpm_setup --config "$folder/setup.conf" --tpm2 --tpmstate "$folder/state" \
    --create-ek-cert --overwrite --logfile "$folder/setup.log" </dev/null >/dev/null ||
    fail "swtpm_setup failed; see $folder/setup.log"
  start swtpm swtpm socket --tpm2 --tpmstate "dir=$folder/state" \
    --server "type=unixio,path=$folder/sock" --ctrl "type=unixio,path=$folder/sock.ctrl" \
    --flags not-need-init,startup-clear --seccomp action=none
  await "a software TPM" swtpm test -S "$folder/sock"
}

# Makes the owner's CA: FILE.key and FILE.pem.
make_devid_ca() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
    -subj "/CN=DevID CA" -addext "keyUsage=critical,keyCertSign,cRLSign" \
    -keyout "$1.key" -out "$1.pem" 2>/dev/null
}

# Has that CA sign a CSR: CA file stem, CSR, certificate to write.
sign_devid() {
  openssl x509 -req -in "$2" -CA "$1.pem" -CAkey "$1.key" -CAcreateserial -days 30 -out "$3" \
    2>/dev/null
}
