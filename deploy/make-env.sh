#!/bin/sh
# Writes .env beside compose.yaml, with random secrets. What is there already stays.
set -eu
cd "$(dirname "$0")/.."
umask 077
touch .env
for name in OWNER_PASSWORD MYSQL_PASSWORD REDIS_PASSWORD MQTT_PASSWORD METRICS_TOKEN GRAFANA_PASSWORD; do
    grep -q "^$name=" .env || echo "$name=$(od -An -N18 -tx1 /dev/urandom | tr -d ' \n')" >> .env
done
grep -q '^OWNER_EMAIL=' .env || echo 'OWNER_EMAIL=owner@localhost' >> .env
grep -q '^PUBLIC_URL=' .env || echo 'PUBLIC_URL=http://localhost:8080' >> .env
