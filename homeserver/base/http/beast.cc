// The one translation unit that holds Beast's and Asio.SSL's non-template code.
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
