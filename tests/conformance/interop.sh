#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs gRPC's own interop client for Go (google.golang.org/grpc/interop/client), when it is on PATH
# as grpc-interop-client, against SERVER (interop_server), case by case. Usage: interop.sh SERVER
set -u
command -v grpc-interop-client >/dev/null ||
  { echo "SKIPPED: grpc-interop-client is not on PATH"; exit 77; }
. "$(dirname "$0")/serve.sh"
failed=0
for case in empty_unary large_unary client_streaming server_streaming ping_pong empty_stream \
  status_code_and_message special_status_message unimplemented_method unimplemented_service \
  timeout_on_sleeping_server cancel_after_begin cancel_after_first_response; do
  if timeout 60 grpc-interop-client -server_host=127.0.0.1 -server_port="$port" -use_tls=false \
    -test_case="$case" >"$folder/answer" 2>&1; then
    echo "passed: $case"
  else
    echo "FAILED: $case"
    cat "$folder/answer"
    failed=1
  fi
done
exit "$failed"
