#!/bin/sh
# The MLflow server of compose.yaml and of tests/services: users with passwords, runs in
# PostgreSQL, files in the bucket, which only this server reaches. The address is $1:$2.
set -eu
host=$1 port=$2
here=$(dirname "$0")
: "${MLFLOW_DATABASE:?postgresql+pg8000://user:password@host/mlflow}"
: "${MLFLOW_AUTH_DATABASE:?postgresql+pg8000://user:password@host/mlflow_auth}"
: "${MLFLOW_BUCKET:?s3://bucket/folder}"
: "${MLFLOW_AUTH_ADMIN_PASSWORD:?at least 12 characters; read at the first start only}"
: "${MLFLOW_FLASK_SERVER_SECRET_KEY:?any long random text}"

umask 077
MLFLOW_AUTH_CONFIG_PATH=$(mktemp)
export MLFLOW_AUTH_CONFIG_PATH
trap 'rm -f "$MLFLOW_AUTH_CONFIG_PATH"' EXIT
cat "$here/basic_auth.ini" >"$MLFLOW_AUTH_CONFIG_PATH"
echo "database_uri = $MLFLOW_AUTH_DATABASE" >>"$MLFLOW_AUTH_CONFIG_PATH"

# in the environment, not in the command line, which every user of the machine can read
export MLFLOW_BACKEND_STORE_URI="$MLFLOW_DATABASE"
export MLFLOW_ARTIFACTS_DESTINATION="$MLFLOW_BUCKET"
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false  # 0.5 GB and 2 processes instead of 1.2 GB and 10
export MLFLOW_DISABLE_TELEMETRY=true
mlflow server --app-name basic-auth --host "$host" --port "$port" \
  --workers "${MLFLOW_WORKERS:-2}" \
  ${MLFLOW_ALLOWED_HOSTS:+--allowed-hosts "$MLFLOW_ALLOWED_HOSTS"} &
server=$!
trap 'kill "$server" 2>/dev/null' TERM INT
wait "$server" || status=$?
wait "$server" 2>/dev/null || true  # a signal ends the first wait, not the server
exit "${status:-0}"
