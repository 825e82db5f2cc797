// What a page shows, apart from how: a table with facts above it, drawn as HTML for people or as JSON for programs.
// Everything shown is hostile (names of peers, texts of failures): escaped here and nowhere else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hongyan::rpc {

struct Cell {
  Cell(std::string_view text) : text(text) {}                     // NOLINT: a row reads as a list.
  Cell(const char* text) : text(text) {}                          // NOLINT
  Cell(const std::string& text) : text(text) {}                   // NOLINT
  Cell(int64_t number) : text(std::to_string(number)), number(true) {}   // NOLINT
  Cell(uint64_t number) : text(std::to_string(number)), number(true) {}  // NOLINT
  Cell(uint32_t number) : text(std::to_string(number)), number(true) {}  // NOLINT
  static Cell link(std::string_view text, std::string_view to) {
    Cell cell(text);
    cell.to = to;
    return cell;
  }

  std::string text;
  std::string to;  // Where a click leads; not in JSON.
  bool number = false;
};

struct Table {
  std::string title;
  std::string about = {};                                 // One sentence.
  std::vector<std::pair<std::string, Cell>> facts = {};
  std::vector<std::string> columns = {};
  std::vector<std::vector<Cell>> rows = {};           // Each as long as `columns`.
  size_t rows_max = 2000;                             // More are counted and not shown.
  std::string filter = {};                            // Of a page that can be filtered: what was asked.
  bool filtered = false;
};

std::string html_of(const Table& table, std::string_view program);
// {"title":..., "facts":{...}, "rows":[{...}], "rows_left_out":n}
std::string json_of(const Table& table);

std::string html_escaped(std::string_view text);
std::string json_escaped(std::string_view text);  // With its quotes; bytes that are no UTF-8 become U+FFFD.

}  // namespace hongyan::rpc
