-- The first schema. Append only: a later version is a later file.
-- {options} is what the engine wants behind a table. Times are milliseconds since 1970-01-01T00:00:00Z by the writer's
-- clock; durations carry their unit in the name. Lists are JSON texts.

CREATE TABLE baton_sequence (
  name VARCHAR(32) NOT NULL,
  value BIGINT NOT NULL,
  PRIMARY KEY (name)
) {options};

INSERT INTO baton_sequence (name, value) VALUES ('recovery', 0), ('step', 0), ('audit', 0), ('opening', 0);

CREATE TABLE baton_switch (
  name VARCHAR(32) NOT NULL,
  enabled SMALLINT NOT NULL,
  PRIMARY KEY (name)
) {options};

INSERT INTO baton_switch (name, enabled) VALUES ('recoveries', 1);

-- epoch grows whenever the lease is granted; renewals whenever its holder shows that it lives; guard whenever the holder
-- writes under it, which makes each such write collide with a change of hands.
CREATE TABLE baton_lease (
  name VARCHAR(64) NOT NULL,
  holder VARCHAR(190) NULL,
  epoch BIGINT NOT NULL,
  renewals BIGINT NOT NULL,
  ttl_ms BIGINT NOT NULL,
  guard BIGINT NOT NULL,
  PRIMARY KEY (name)
) {options};

CREATE TABLE baton_cluster (
  id VARCHAR(190) NOT NULL,
  name VARCHAR(190) NOT NULL,
  primary_id VARCHAR(263) NULL,
  primary_epoch BIGINT NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT baton_cluster_name UNIQUE (name)
) {options};

CREATE TABLE baton_server (
  id VARCHAR(263) NOT NULL,
  address VARCHAR(263) NOT NULL,
  uid VARCHAR(190) NULL,
  cluster_id VARCHAR(190) NULL,
  last_seen_ms BIGINT NULL,
  aliases MEDIUMTEXT NOT NULL,
  promotion VARCHAR(16) NOT NULL,
  promotion_expires_ms BIGINT NULL,
  quarantine MEDIUMTEXT NULL,
  PRIMARY KEY (id),
  CONSTRAINT baton_server_cluster FOREIGN KEY (cluster_id) REFERENCES baton_cluster (id)
) {options};

CREATE INDEX baton_server_by_cluster ON baton_server (cluster_id);

CREATE TABLE baton_downtime (
  server_id VARCHAR(263) NOT NULL,
  owner VARCHAR(190) NOT NULL,
  reason MEDIUMTEXT NOT NULL,
  begins_ms BIGINT NOT NULL,
  ends_ms BIGINT NOT NULL,
  PRIMARY KEY (server_id),
  CONSTRAINT baton_downtime_server FOREIGN KEY (server_id) REFERENCES baton_server (id)
) {options};

-- running_cluster is the cluster while the recovery runs, else nothing: the portable form of "one running per cluster".
CREATE TABLE baton_recovery (
  id VARCHAR(190) NOT NULL,
  number BIGINT NOT NULL,
  cluster_id VARCHAR(190) NOT NULL,
  running_cluster VARCHAR(190) NULL,
  cluster_name VARCHAR(190) NOT NULL,
  kind VARCHAR(32) NOT NULL,
  finding VARCHAR(64) NOT NULL,
  failed_id VARCHAR(263) NOT NULL,
  failed_address VARCHAR(263) NOT NULL,
  successor_id VARCHAR(263) NULL,
  successor_address VARCHAR(263) NULL,
  outcome VARCHAR(16) NOT NULL,
  automatic SMALLINT NOT NULL,
  node VARCHAR(190) NOT NULL,
  epoch BIGINT NOT NULL,
  started_ms BIGINT NOT NULL,
  ended_ms BIGINT NULL,
  lost MEDIUMTEXT NOT NULL,
  errors MEDIUMTEXT NOT NULL,
  decision MEDIUMTEXT NOT NULL,
  committed SMALLINT NOT NULL,
  ack_who VARCHAR(190) NULL,
  ack_ms BIGINT NULL,
  ack_comment MEDIUMTEXT NULL,
  PRIMARY KEY (id),
  CONSTRAINT baton_recovery_number UNIQUE (number),
  CONSTRAINT baton_recovery_running UNIQUE (running_cluster)
) {options};

CREATE INDEX baton_recovery_by_cluster ON baton_recovery (cluster_id, number);

CREATE TABLE baton_step (
  number BIGINT NOT NULL,
  recovery_id VARCHAR(190) NOT NULL,
  step BIGINT NOT NULL,
  phase VARCHAR(64) NOT NULL,
  stage VARCHAR(16) NOT NULL,
  server_id VARCHAR(263) NULL,
  detail MEDIUMTEXT NOT NULL,
  at_ms BIGINT NOT NULL,
  since_trigger_us BIGINT NOT NULL,
  PRIMARY KEY (number),
  CONSTRAINT baton_step_recovery FOREIGN KEY (recovery_id) REFERENCES baton_recovery (id)
) {options};

CREATE INDEX baton_step_by_recovery ON baton_step (recovery_id, number);

CREATE TABLE baton_route (
  route_key VARCHAR(255) NOT NULL,
  target MEDIUMTEXT NOT NULL,
  epoch BIGINT NOT NULL,
  PRIMARY KEY (route_key)
) {options};

CREATE TABLE baton_audit (
  number BIGINT NOT NULL,
  at_ms BIGINT NOT NULL,
  kind VARCHAR(64) NOT NULL,
  server_address VARCHAR(263) NULL,
  cluster_id VARCHAR(190) NULL,
  who VARCHAR(190) NOT NULL,
  detail MEDIUMTEXT NOT NULL,
  PRIMARY KEY (number)
) {options};

CREATE TABLE baton_health (
  node VARCHAR(190) NOT NULL,
  beats BIGINT NOT NULL,
  PRIMARY KEY (node)
) {options};
