-- The tables of Sluice in QuestDB. They are made before the first write: a table that line protocol makes by itself
-- does not deduplicate, and then a corrected window would stand beside the one it corrects.
-- With DEDUP UPSERT KEYS a later write of the same keys replaces the earlier one.

CREATE TABLE IF NOT EXISTS telemetry_10s (
  device SYMBOL CAPACITY 4096, metric SYMBOL,
  count LONG, min DOUBLE, max DOUBLE, sum DOUBLE, mean DOUBLE, first DOUBLE, last DOUBLE,
  p50 DOUBLE, p95 DOUBLE, p99 DOUBLE, revision LONG,
  timestamp TIMESTAMP
) TIMESTAMP(timestamp) PARTITION BY DAY WAL DEDUP UPSERT KEYS(timestamp, device, metric);

CREATE TABLE IF NOT EXISTS telemetry_1m (
  device SYMBOL CAPACITY 4096, metric SYMBOL,
  count LONG, min DOUBLE, max DOUBLE, sum DOUBLE, mean DOUBLE, first DOUBLE, last DOUBLE,
  p50 DOUBLE, p95 DOUBLE, p99 DOUBLE, revision LONG,
  timestamp TIMESTAMP
) TIMESTAMP(timestamp) PARTITION BY DAY WAL DEDUP UPSERT KEYS(timestamp, device, metric);

CREATE TABLE IF NOT EXISTS telemetry_1h (
  device SYMBOL CAPACITY 4096, metric SYMBOL,
  count LONG, min DOUBLE, max DOUBLE, sum DOUBLE, mean DOUBLE, first DOUBLE, last DOUBLE,
  p50 DOUBLE, p95 DOUBLE, p99 DOUBLE, revision LONG,
  timestamp TIMESTAMP
) TIMESTAMP(timestamp) PARTITION BY MONTH WAL DEDUP UPSERT KEYS(timestamp, device, metric);

CREATE TABLE IF NOT EXISTS telemetry_1d (
  device SYMBOL CAPACITY 4096, metric SYMBOL,
  count LONG, min DOUBLE, max DOUBLE, sum DOUBLE, mean DOUBLE, first DOUBLE, last DOUBLE,
  p50 DOUBLE, p95 DOUBLE, p99 DOUBLE, revision LONG,
  timestamp TIMESTAMP
) TIMESTAMP(timestamp) PARTITION BY MONTH WAL DEDUP UPSERT KEYS(timestamp, device, metric);

-- One row per transition of an alert.
CREATE TABLE IF NOT EXISTS alerts (
  alert_id SYMBOL CAPACITY 4096, device SYMBOL CAPACITY 4096, metric SYMBOL, rule SYMBOL, severity SYMBOL, state SYMBOL,
  value DOUBLE, score DOUBLE, threshold DOUBLE, started_at LONG, updated_at LONG, resolved_at LONG,
  expected DOUBLE, lower DOUBLE, upper DOUBLE, detector VARCHAR, summary STRING, alert_json VARCHAR,
  timestamp TIMESTAMP
) TIMESTAMP(timestamp) PARTITION BY MONTH WAL DEDUP UPSERT KEYS(timestamp, alert_id, state);

CREATE TABLE IF NOT EXISTS devices (
  device SYMBOL CAPACITY 4096, last_ts LONG, last_ingest_ts LONG, readings LONG, latest STRING,
  timestamp TIMESTAMP
) TIMESTAMP(timestamp) PARTITION BY YEAR WAL DEDUP UPSERT KEYS(timestamp, device);
