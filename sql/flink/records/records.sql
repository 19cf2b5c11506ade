SELECT `key`, `value`, `timestamp`, `topic`, `partition`, `offset` FROM `${topic}`
