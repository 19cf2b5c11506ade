/** How state is kept, beyond what Flink has settings for. */
package citystream.state;
