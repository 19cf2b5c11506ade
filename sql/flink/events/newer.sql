SELECT `key`, `value`, `timestamp`, `topic`, `partition`, `offset` FROM newer
