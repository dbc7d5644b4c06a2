//! What every generated stub needs to build a request and read a reply.
