-- The most that was seen of each cluster's history: what some replica had, or its primary had acknowledged.

CREATE TABLE baton_history (
  cluster_id VARCHAR(190) NOT NULL,
  flavor VARCHAR(16) NOT NULL,
  transactions MEDIUMTEXT NOT NULL,
  PRIMARY KEY (cluster_id)
) {options};
