-- Baton nodes, and the members whose locks are votes. Versions of member sets grow over all clusters, so that one number per node
-- says which of them it has read.

CREATE TABLE baton_node (
  name VARCHAR(190) NOT NULL,
  start_id VARCHAR(64) NOT NULL,
  url VARCHAR(255) NOT NULL,
  program VARCHAR(64) NOT NULL,
  beats BIGINT NOT NULL,
  voters_seen BIGINT NOT NULL,
  PRIMARY KEY (name)
) {options};

CREATE TABLE baton_voters (
  cluster_id VARCHAR(190) NOT NULL,
  version BIGINT NOT NULL,
  members MEDIUMTEXT NOT NULL,
  members_before MEDIUMTEXT NULL,
  PRIMARY KEY (cluster_id)
) {options};
