#!/bin/sh
# The databases and their owners, made by PostgreSQL's image at its first start. It sets
# POSTGRES_USER; elsewhere psql's own variables (PGHOST, PGUSER, PGPASSWORD) say where.
set -eu
: "${MLFLOW_DATABASE_PASSWORD:?}" "${PREFECT_DATABASE_PASSWORD:?}" "${SWEEPS_DATABASE_PASSWORD:?}"
export MLFLOW_DATABASE_PASSWORD PREFECT_DATABASE_PASSWORD SWEEPS_DATABASE_PASSWORD
# psql quotes the passwords (:'name'), which it reads from the environment
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname postgres \
  --username "${POSTGRES_USER:-${PGUSER:-postgres}}" <<'SQL'
\getenv mlflow MLFLOW_DATABASE_PASSWORD
\getenv prefect PREFECT_DATABASE_PASSWORD
\getenv sweeps SWEEPS_DATABASE_PASSWORD
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow';
CREATE ROLE prefect LOGIN PASSWORD :'prefect';
CREATE ROLE sweeps LOGIN PASSWORD :'sweeps';
CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE mlflow_auth OWNER mlflow;
CREATE DATABASE prefect OWNER prefect;
CREATE DATABASE sweeps OWNER sweeps;
REVOKE CONNECT ON DATABASE mlflow, mlflow_auth, prefect, sweeps FROM PUBLIC;
SQL
