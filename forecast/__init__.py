"""Daily emission of tomorrow, per region and per complex, with an interval: features, model, training, backtest.

Only what can be known is used. The public data are monthly, a month or more late, and "daily" values are a month's
emission spread over its days by degree days: an estimate. The weather is known up to yesterday; a day ahead takes what
forecasts of the weather say of it and, where they don't reach, the climate's normal for its time of year plus what is
left, by persistence, of the latest anomaly.
"""
