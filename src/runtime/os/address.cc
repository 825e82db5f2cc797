#include "runtime/os/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>

namespace hongyan::runtime {

Result<Address> parse_address(const std::string& text) {
  const Status invalid(Code::invalid, text + ": want 127.0.0.1:80, [::1]:80 or localhost:80");
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return invalid;
  std::string host = text.substr(0, colon);
  uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end) return invalid;

  Address address;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) != 1) return invalid;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.bytes = sizeof(sockaddr_in6);
    return address;
  }
  if (host == "localhost") host = "127.0.0.1";
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) != 1) return invalid;
  v4->sin_family = AF_INET;
  v4->sin_port = htons(port);
  address.bytes = sizeof(sockaddr_in);
  return address;
}

std::string to_text(const Address& address) {
  char host[INET6_ADDRSTRLEN] = "?";
  if (address.storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
    return "[" + std::string(host) + "]:" + std::to_string(ntohs(v6->sin6_port));
  }
  if (address.storage.ss_family != AF_INET) return "?";
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
  inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
  return std::string(host) + ":" + std::to_string(ntohs(v4->sin_port));
}

}  // namespace hongyan::runtime
