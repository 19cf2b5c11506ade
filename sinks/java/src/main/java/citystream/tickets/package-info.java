/** What the stream of ticket sales does per event. */
package citystream.tickets;
