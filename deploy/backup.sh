#!/bin/sh
# Everything the servers keep, into a folder and back:
#   backup.sh save FOLDER        while they run
#   backup.sh restore FOLDER     while MLflow, Prefect and the workers are stopped
# PGHOST, PGPORT, PGUSER, PGPASSWORD name the server; AWS_ENDPOINT_URL_S3 and keys the buckets.
set -eu
verb=${1:-} folder=${2:?usage: backup.sh save|restore FOLDER}
here=$(dirname "$0")
databases="mlflow mlflow_auth prefect sweeps"
mkdir -p "$folder/databases"
case $verb in
  save)
    # Databases first: files are only ever added, so that a file that a saved row names is there.
    for name in $databases; do
      pg_dump --format custom --dbname "$name" --file "$folder/databases/$name.partial"
    done
    for name in $databases; do  # all of one moment or none
      mv "$folder/databases/$name.partial" "$folder/databases/$name.dump"
    done
    python "$here/buckets.py" save "$folder/buckets"
    ;;
  restore)
    python "$here/buckets.py" load "$folder/buckets"
    for name in $databases; do
      pg_restore --clean --if-exists --single-transaction --exit-on-error \
        --dbname "$name" "$folder/databases/$name.dump"
    done
    ;;
  *) echo "usage: backup.sh save|restore FOLDER" >&2; exit 2 ;;
esac
