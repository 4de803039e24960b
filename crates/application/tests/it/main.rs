//! Stories of one domain, with the real store in memory and fakes for the parties outside.

mod ca;
mod outside;
mod stories;
mod world;
