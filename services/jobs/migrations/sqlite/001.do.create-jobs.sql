-- The tables of cc-backend's job database at its schema version 11, with few indices of our own.
-- No CHECK on what a scheduler reports (states, shared): an import must not fail over a state that is new.

CREATE TABLE hpc_user (
  username TEXT PRIMARY KEY NOT NULL,
  password TEXT,
  ldap INTEGER NOT NULL DEFAULT 0, -- where the user comes from: 0 local, 1 LDAP, 2 token, 3 OIDC
  name TEXT,
  roles TEXT NOT NULL DEFAULT '[]', -- JSON
  email TEXT,
  projects TEXT NOT NULL DEFAULT '[]' -- JSON
);

CREATE TABLE configuration (
  username TEXT NOT NULL REFERENCES hpc_user (username) ON DELETE CASCADE,
  confkey TEXT NOT NULL,
  value TEXT,
  PRIMARY KEY (username, confkey)
);

CREATE TABLE job (
  id INTEGER PRIMARY KEY,
  job_id INTEGER NOT NULL, -- of the scheduler
  cluster TEXT NOT NULL,
  subcluster TEXT NOT NULL,
  submit_time INTEGER NOT NULL DEFAULT 0, -- unix seconds, as all times
  start_time INTEGER NOT NULL DEFAULT 0,
  hpc_user TEXT NOT NULL,
  project TEXT NOT NULL,
  cluster_partition TEXT,
  array_job_id INTEGER,
  duration INTEGER NOT NULL, -- seconds
  walltime INTEGER NOT NULL,
  job_state TEXT NOT NULL,
  meta_data TEXT, -- JSON
  resources TEXT NOT NULL, -- JSON
  num_nodes INTEGER NOT NULL,
  num_hwthreads INTEGER,
  num_acc INTEGER,
  smt INTEGER NOT NULL DEFAULT 1,
  shared TEXT NOT NULL,
  monitoring_status INTEGER NOT NULL DEFAULT 1,
  energy REAL NOT NULL DEFAULT 0, -- kWh
  energy_footprint TEXT, -- JSON
  footprint TEXT -- JSON
);

-- What each of them is for: docs/jobs-data.md. Names and columns are those of services/jobs/indices.ts, a test compares them.
CREATE UNIQUE INDEX job_key ON job (job_id, cluster, start_time);
CREATE INDEX job_start ON job (start_time);
CREATE INDEX job_user_start ON job (hpc_user, start_time);
CREATE INDEX job_project_start ON job (project, start_time);
CREATE INDEX job_user_project ON job (hpc_user, project, start_time);
CREATE INDEX job_cluster_start ON job (cluster, start_time, id, duration, job_state, num_nodes, num_hwthreads, num_acc, hpc_user, project, subcluster);
CREATE INDEX job_cluster_user ON job (cluster, hpc_user, start_time, id, duration, job_state, num_nodes, num_hwthreads, num_acc, project);
CREATE INDEX job_cluster_project ON job (cluster, project, start_time, id, duration, job_state, num_nodes, num_hwthreads, num_acc, hpc_user);
CREATE INDEX job_partition_start ON job (cluster, cluster_partition, start_time);
CREATE INDEX job_long ON job (cluster, start_time) WHERE duration > 259200;
CREATE INDEX job_state_start ON job (job_state, start_time) WHERE job_state <> 'completed';
CREATE INDEX job_cluster_state ON job (cluster, job_state, start_time) WHERE job_state <> 'completed';
CREATE INDEX job_user_state ON job (hpc_user, job_state, start_time, id, cluster, project) WHERE job_state <> 'completed';
CREATE INDEX job_project_state ON job (project, job_state, start_time, id, cluster, hpc_user) WHERE job_state <> 'completed';

-- Jobs that have just started, before they are moved into job.
CREATE TABLE job_cache (
  id INTEGER PRIMARY KEY,
  job_id INTEGER NOT NULL,
  cluster TEXT NOT NULL,
  subcluster TEXT NOT NULL,
  submit_time INTEGER NOT NULL DEFAULT 0,
  start_time INTEGER NOT NULL DEFAULT 0,
  hpc_user TEXT NOT NULL,
  project TEXT NOT NULL,
  cluster_partition TEXT,
  array_job_id INTEGER,
  duration INTEGER NOT NULL,
  walltime INTEGER NOT NULL,
  job_state TEXT NOT NULL,
  meta_data TEXT,
  resources TEXT NOT NULL,
  num_nodes INTEGER NOT NULL,
  num_hwthreads INTEGER,
  num_acc INTEGER,
  smt INTEGER NOT NULL DEFAULT 1,
  shared TEXT NOT NULL,
  monitoring_status INTEGER NOT NULL DEFAULT 1,
  energy REAL NOT NULL DEFAULT 0,
  energy_footprint TEXT,
  footprint TEXT,
  UNIQUE (job_id, cluster, start_time)
);

CREATE TABLE tag (
  id INTEGER PRIMARY KEY,
  tag_type TEXT NOT NULL,
  tag_name TEXT NOT NULL,
  insert_ts TEXT DEFAULT CURRENT_TIMESTAMP,
  tag_scope TEXT NOT NULL DEFAULT 'global', -- 'global', 'admin' or a username
  UNIQUE (tag_type, tag_name)
);

CREATE TABLE jobtag (
  job_id INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  tag_id INTEGER NOT NULL REFERENCES tag (id) ON DELETE CASCADE,
  insert_ts TEXT DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (job_id, tag_id)
);

CREATE INDEX jobtag_tag ON jobtag (tag_id);

CREATE TABLE node (
  id INTEGER PRIMARY KEY,
  hostname TEXT NOT NULL,
  cluster TEXT NOT NULL,
  subcluster TEXT NOT NULL,
  meta_data TEXT, -- JSON
  UNIQUE (hostname, cluster)
);

CREATE TABLE node_state (
  id INTEGER PRIMARY KEY,
  time_stamp INTEGER NOT NULL,
  jobs_running INTEGER NOT NULL DEFAULT 0,
  cpus_allocated INTEGER NOT NULL DEFAULT 0,
  memory_allocated INTEGER NOT NULL DEFAULT 0,
  gpus_allocated INTEGER NOT NULL DEFAULT 0,
  node_state TEXT NOT NULL,
  health_state TEXT NOT NULL,
  health_metrics TEXT, -- JSON
  node_id INTEGER REFERENCES node (id) ON DELETE CASCADE
);

CREATE INDEX node_state_node_time ON node_state (node_id, time_stamp);
