/** Documents into Elasticsearch: at-least-once delivery, exactly-once result. */
package citystream.elasticsearch;
