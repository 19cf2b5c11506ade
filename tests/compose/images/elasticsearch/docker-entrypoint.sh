#!/usr/bin/env bash
# The rules of the official image: ELASTIC_PASSWORD at the first start; variables with a dot in their name are settings.
set -eu
if [ ! -f config/elasticsearch.keystore ]; then
    bin/elasticsearch-keystore create > /dev/null
    printf '%s' "$ELASTIC_PASSWORD" | bin/elasticsearch-keystore add --stdin bootstrap.password
fi
settings=(-Enetwork.host=0.0.0.0)
while IFS='=' read -r -d '' name value; do
    case $name in *.*) settings+=("-E$name=$value") ;; esac
done < <(env -0)
exec bin/elasticsearch "${settings[@]}"
