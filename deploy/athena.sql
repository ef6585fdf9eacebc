-- Rows of all targets for Athena. Put your bucket and prefix in place of BUCKET/results; a query names its
-- target (projection by injection): WHERE target = 'production' AND date >= …
CREATE EXTERNAL TABLE hokusai_validation_rows (
  `run_id` string,
  `phase` string,
  `category` string,
  `id` string,
  `test` string,
  `component` string,
  `critical` boolean,
  `status` string,
  `started_at` timestamp,
  `duration_s` double,
  `message` string,
  `detail` string,
  `evidence` string,
  `facts` string,
  `observations` string,
  `metrics` string,
  `attempt` bigint,
  `flaky` boolean,
  `skip_reason` string,
  `blocked_by` string
)
PARTITIONED BY (`target` string, `date` date)
STORED AS PARQUET
LOCATION 's3://BUCKET/results/dataset/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.target.type' = 'injected',
  'projection.date.type' = 'date',
  'projection.date.format' = 'yyyy-MM-dd',
  'projection.date.range' = '2026-01-01,NOW',
  'storage.location.template' = 's3://BUCKET/results/dataset/target=${target}/date=${date}/'
);
