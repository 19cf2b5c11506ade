#!/usr/bin/env bash
# The contract of the official entry point: jemalloc; some settings and FLINK_PROPERTIES go into config.yaml; then the
# named process in the foreground, or any other command.
set -eu
export LD_PRELOAD="${LD_PRELOAD:-}:/usr/lib/$(uname -m)-linux-gnu/libjemalloc.so"

settings=("-Djobmanager.rpc.address=${JOB_MANAGER_RPC_ADDRESS:-$(hostname)}" -Dblob.server.port=6124 -Dquery.server.port=6125)
while IFS=: read -r key value; do
    if [ -n "$key" ]; then settings+=("-D$key=$(envsubst <<< "$value")"); fi
done < <(tr -d '[:blank:]' <<< "${FLINK_PROPERTIES:-}")
"$FLINK_HOME/bin/config-parser-utils.sh" "$FLINK_HOME/conf" "$FLINK_HOME/bin" "$FLINK_HOME/lib" "${settings[@]}"

case "${1:-help}" in
    help) echo "Usage: docker-entrypoint.sh jobmanager | taskmanager | COMMAND" ;;
    jobmanager | taskmanager) exec "$FLINK_HOME/bin/$1.sh" start-foreground "${@:2}" ;;
    *) exec "$@" ;;
esac
