/** The JVM half of Citystream: what runs once per event, declared from Python. */
package citystream;
