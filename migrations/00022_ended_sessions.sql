-- Which sessions of the page were ended before their time.

-- +goose Up

-- A session is its cookie until somebody logs out; from then on it is a row here,
-- until the second at which its cookie would have ended by itself.
CREATE TABLE ended_sessions (
  id         text COLLATE "C" PRIMARY KEY, -- random, so one is nobody else's
  tenant     text COLLATE "C" NOT NULL,
  expires_at timestamptz NOT NULL
);

-- Those whose time is over are dropped some at a time, oldest first.
CREATE INDEX ended_sessions_expiring ON ended_sessions (expires_at);

-- +goose Down
DROP TABLE ended_sessions;
