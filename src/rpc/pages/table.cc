#include "rpc/pages/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/bytes.h"

namespace hongyan::rpc {
namespace {

constexpr std::string_view k_style =
    "body{font:15px/1.5 system-ui,sans-serif;margin:0;color:#1d2733;background:#f6f8fa}"
    "header{background:#1d3557;color:#fff;padding:.7rem 1.5rem;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;align-items:baseline}"
    "header a{color:#cfe0f5;text-decoration:none}header a:hover{text-decoration:underline}header b{font-size:1.05rem}"
    "main{padding:1rem 1.5rem;overflow-x:auto}h1{font-size:1.3rem;margin:.2rem 0}p{margin:.2rem 0 1rem;color:#57677a}"
    "table{border-collapse:collapse;background:#fff;box-shadow:0 1px 2px #0002;margin-bottom:1.2rem}"
    "th,td{padding:.3rem .8rem;border-bottom:1px solid #e6ebf0;text-align:left;vertical-align:top}"
    "th{background:#eef2f6;font-weight:600;white-space:nowrap}td.n{text-align:right;font-variant-numeric:tabular-nums}"
    "tr:hover td{background:#f3f7fb}td{max-width:48rem;overflow-wrap:anywhere}"
    "input{font:inherit;padding:.2rem .5rem;border:1px solid #b8c4d0;border-radius:4px}"
    "@media(prefers-color-scheme:dark){body{background:#12181f;color:#d7e0ea}table{background:#19212b}th{background:#222d3a}"
    "th,td{border-color:#2a3644}tr:hover td{background:#202b37}p{color:#93a4b7}td a{color:#8fbcf0}}";

constexpr std::string_view k_pages[] = {"status", "vars", "metrics", "connections", "coroutines", "calls", "traces", "methods", "cpu", "heap", "log"};

std::string cell_html(const Cell& cell) {
  const std::string text = html_escaped(cell.text);
  const std::string shown = cell.to.empty() ? text : fmt::format("<a href=\"{}\">{}</a>", html_escaped(cell.to), text);
  return fmt::format("<td{}>{}</td>", cell.number ? " class=n" : "", shown);
}

std::string cell_json(const Cell& cell) { return cell.number ? cell.text : json_escaped(cell.text); }

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out.push_back(static_cast<unsigned char>(c) < 0x20 && c != '\n' ? ' ' : c);
    }
  }
  return out;
}

std::string json_escaped(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(text.substr(i));
    const char c = text[i];
    if (length == 0) {
      out += "\xef\xbf\xbd";
    } else if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += text.substr(i, length);
    }
    i += std::max<size_t>(length, 1);
  }
  return out + "\"";
}

std::string html_of(const Table& table, std::string_view program) {
  std::string out;
  auto write = std::back_inserter(out);
  fmt::format_to(write,
                 "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width\">"
                 "<title>{0} - {1}</title><style>{2}</style></head><body><header><b><a href=\"/\">{1}</a></b>",
                 html_escaped(table.title), html_escaped(program), k_style);
  for (const std::string_view page : k_pages) fmt::format_to(write, "<a href=\"/{0}\">{0}</a>", page);
  fmt::format_to(write, "</header><main><h1>{}</h1><p>{}</p>", html_escaped(table.title), html_escaped(table.about));
  if (table.filtered)
    fmt::format_to(write, "<form><p><input name=filter placeholder=filter value=\"{}\"></p></form>", html_escaped(table.filter));
  if (!table.facts.empty()) {
    out += "<table>";
    for (const auto& [name, cell] : table.facts) fmt::format_to(write, "<tr><th>{}</th>{}</tr>", html_escaped(name), cell_html(cell));
    out += "</table>";
  }
  if (!table.columns.empty()) {
    out += "<table><tr>";
    for (const std::string& column : table.columns) fmt::format_to(write, "<th>{}</th>", html_escaped(column));
    out += "</tr>";
    for (size_t i = 0; i < std::min(table.rows.size(), table.rows_max); ++i) {
      out += "<tr>";
      for (const Cell& cell : table.rows[i]) out += cell_html(cell);
      out += "</tr>";
    }
    out += "</table>";
    if (table.rows.empty()) out += "<p>None.</p>";
    if (table.rows.size() > table.rows_max) fmt::format_to(write, "<p>{} more are not shown.</p>", table.rows.size() - table.rows_max);
  }
  return out + "</main></body></html>\n";
}

std::string json_of(const Table& table) {
  std::string out = "{\"title\":" + json_escaped(table.title) + ",\"facts\":{";
  for (size_t i = 0; i < table.facts.size(); ++i)
    out += (i > 0 ? "," : "") + json_escaped(table.facts[i].first) + ":" + cell_json(table.facts[i].second);
  out += "},\"rows\":[";
  const size_t rows = std::min(table.rows.size(), table.rows_max);
  for (size_t i = 0; i < rows; ++i) {
    out += i > 0 ? ",{" : "{";
    for (size_t c = 0; c < table.columns.size() && c < table.rows[i].size(); ++c)
      out += (c > 0 ? "," : "") + json_escaped(table.columns[c]) + ":" + cell_json(table.rows[i][c]);
    out += "}";
  }
  return out + fmt::format("],\"rows_left_out\":{}}}\n", table.rows.size() - rows);
}

}  // namespace hongyan::rpc
