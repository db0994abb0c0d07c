# Makes the role that Grafana reads the library by; the image of PostgreSQL runs it when the database is made.
psql --no-psqlrc --set=ON_ERROR_STOP=1 --set=password="$STARWEAVE_GRAFANA_PASSWORD" \
    --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" <<'SQL'
CREATE ROLE grafana LOGIN PASSWORD :'password';
-- The bridges make the tables, later.
GRANT pg_read_all_data TO grafana;
SQL
