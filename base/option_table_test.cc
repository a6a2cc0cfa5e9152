// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/option_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/support/status_matchers.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

enum class Color { kRed, kGreen };

struct Example {
  std::string name = "unset";
  Secret token;
  bool on = false;
  uint16_t port = 1;
  int64_t size = 0;
  absl::Duration interval = absl::Seconds(5);
  std::vector<std::string> ids;
  Color color = Color::kRed;
  std::optional<std::string> path;
  bool has_inner = false;
  std::string deep;
  std::vector<std::string> labels;
};

OptionTable Options(Example& e) {
  return {
      {"name", Into(e.name), "A name.", true},
      {"token", Into(e.token), "A token."},
      {"on", Into(e.on), "On."},
      {"port", Into(e.port), "A port."},
      {"size", Into(e.size, -1, 100), "A size."},
      {"interval", Into(e.interval), "An interval."},
      {"ids", Into(e.ids), "IDs."},
      {"color", OneOf<Color>(e.color, {{"red", Color::kRed}, {"green", Color::kGreen}}), "Color."},
      {"path", Into(e.path), "A path."},
      {"inner", Section({{"deep", Into(e.deep), "Deep."}}, e.has_inner), "A block."},
      {"Plugin",
       LabelledBlocks([&e](std::string_view label, const ConfigValue& block, std::string_view path,
                           ConfigReport& report) {
         e.labels.emplace_back(label);
         ReadOptions(block, {{"known", Into(e.deep), "Known."}}, path, report);
       }),
       "Plugins."},
      {"ignored", WithoutEffect(), "Nothing."},
      {"refused", NotSupported(), "Not here."},
  };
}

ConfigReport Read(std::string_view text, Example& example) {
  ConfigReport report("f");
  const absl::StatusOr<ConfigValue> tree = ParseConfig("f", text);
  EXPECT_OK(tree);
  if (tree.ok()) {
    ReadOptions(*tree, Options(example), "", report);
  }
  return report;
}

TEST(OptionTableTest, ReadsEachKindIntoItsField) {
  Example e;
  const ConfigReport report = Read(R"(
name = "n" token = "t" on = true port = "8081" size = -1 interval = "1m30s"
ids = ["a", "b"] color = "GREEN" path = "/p" inner { deep = 7 }
Plugin "x" { } Plugin "y" { known = "k" })",
                                   e);
  EXPECT_OK(report.ToStatus());
  EXPECT_EQ(e.name, "n");
  EXPECT_EQ(e.token.Reveal(), "t");
  EXPECT_TRUE(e.on && e.has_inner);
  EXPECT_EQ(e.port, 8081);
  EXPECT_EQ(e.size, -1);
  EXPECT_EQ(e.interval, absl::Seconds(90));
  EXPECT_THAT(e.ids, ElementsAre("a", "b"));
  EXPECT_EQ(e.color, Color::kGreen);
  EXPECT_EQ(e.path, "/p");
  EXPECT_THAT(e.labels, ElementsAre("x", "y"));
  EXPECT_EQ(e.deep, "k");
}

TEST(OptionTableTest, FindsAllMistakesAtOnceWithTheirPlaces) {
  Example e;
  const ConfigReport report = Read(R"(nam = 1
on = "maybe"
port = 65536
size = 1.5
interval = 5
ids = "a"
color = "blue"
inner { depe = 1 }
Plugin "x" { unknown = 1 }
zzzzzzzzzz = 1
refused = true)",
                                   e);
  EXPECT_THAT(
      report.errors(),
      ElementsAre("f:1:1: unknown option \"nam\"; did you mean \"name\"?",
                  "f:2:6: on: expected true or false, found a string",
                  "f:3:8: port: \"65536\" is no whole number from 1 to 65535",
                  "f:4:8: size: \"1.5\" is no whole number from -1 to 100",
                  "f:5:12: interval: expected a duration in quotes, such as \"5s\" or \"1h30m\", "
                  "found a number",
                  "f:6:7: ids: expected a list of strings, found a string",
                  "f:7:9: color: \"blue\" is none of red, green",
                  "f:8:9: unknown option \"depe\" in inner; did you mean \"deep\"?",
                  "f:9:14: unknown option \"unknown\" in Plugin \"x\"; did you mean \"known\"?",
                  "f:10:1: unknown option \"zzzzzzzzzz\"", "f:11:11: refused is not supported",
                  "f:1:1: name must be configured"));
  EXPECT_EQ(e.interval, absl::Seconds(5)) << "a bad value must leave the default";
}

TEST(OptionTableTest, WarnsOfWhatHasNoEffectAndAcceptsWhatChangesNothing) {
  Example e;
  const ConfigReport report = Read("name = \"n\"\nignored = 3\nrefused = false", e);
  EXPECT_OK(report.ToStatus());
  EXPECT_THAT(report.warnings(), ElementsAre("f:2:11: ignored has no effect"));
}

TEST(OptionTableTest, NullCountsAsAbsent) {
  Example e;
  EXPECT_THAT(Read(R"({"name": null, "port": null})", e).errors(),
              ElementsAre("f:1:1: name must be configured"));
  EXPECT_EQ(e.port, 1);
}

TEST(OptionTableTest, AnEmptyTextIsNotWhatIsRequired) {
  Example e;
  EXPECT_THAT(Read("name = \"\"", e).errors(), ElementsAre("f:1:1: name must be configured"));
}

TEST(OptionTableTest, RefusesBadDurations) {
  for (const std::string_view bad : {"-5s", "inf", "5", "", "5 s", "x"}) {
    Example e;
    EXPECT_THAT(Read(fmt::format("name=1 interval = \"{}\"", bad), e).errors(), testing::SizeIs(1))
        << bad;
  }
}

TEST(OptionTableTest, ASectionMayStandOnceOnly) {
  Example e;
  EXPECT_THAT(Read("name=1\ninner {}\ninner {}", e).errors(),
              ElementsAre("f:2:7: inner: expected one block"));
}

TEST(OptionTableTest, FormsTellHowValuesAreWritten) {
  Example e;
  std::map<std::string_view, OptionForm> forms;
  for (const Option& option : Options(e)) {
    forms.emplace(option.name, option.read.form());
  }
  EXPECT_EQ(forms["name"].initial, "\"unset\"");
  EXPECT_EQ(forms["interval"].kind, "duration");
  EXPECT_EQ(forms["interval"].initial, "\"5s\"");
  EXPECT_EQ(forms["color"].kind, "`red` or `green`");
  EXPECT_EQ(forms["color"].initial, "red");
  EXPECT_EQ(forms["inner"].inside.at(0).name, "deep");
  EXPECT_TRUE(forms["Plugin"].labelled);
  EXPECT_EQ(forms["refused"].effect, OptionForm::Effect::kRefused);
}

std::vector<std::string> Compared(std::string_view before, std::string_view after) {
  Example e;
  OptionTable table = {
      {.name = "now", .read = Into(e.deep), .doc = "", .reloads = true},
      {"name", Into(e.name), ""},
      {"ids", Into(e.ids), ""},
      {"inner",
       Section({{"deep", Into(e.deep), ""},
                {.name = "now", .read = Into(e.deep), .doc = "", .reloads = true}}),
       ""},
      {"Plugin",
       LabelledBlocks(
           [](std::string_view, const ConfigValue&, std::string_view, ConfigReport&) {},
           {{"x", Section({{.name = "data", .read = Into(e.deep), .doc = "", .reloads = true}}),
             ""}}),
       ""}};
  std::vector<std::string> told;
  for (const OptionChange& change :
       CompareOptions(*ParseConfig("a", before), *ParseConfig("b", after), table, "")) {
    told.push_back(change.path + (change.reloads ? " now" : " later"));
  }
  return told;
}

TEST(OptionTableTest, TellsWhatTwoConfigurationsDifferIn) {
  EXPECT_THAT(Compared("name = \"a\" ids = [\"b\"]", "ids = [\"b\"]\n\nname = \"a\""), IsEmpty());
  EXPECT_THAT(Compared("name = \"a\"", "name = \"b\" now = \"c\""),
              ElementsAre("now now", "name later"));
  EXPECT_THAT(Compared("inner { deep = 1 }", "inner { deep = 2 now = 3 }"),
              ElementsAre("inner.deep later", "inner.now now"));
  EXPECT_THAT(Compared("", "inner { now = 3 }"), ElementsAre("inner.now now"));
  EXPECT_THAT(Compared("Plugin \"x\" { data = 1 }", "Plugin \"x\" { data = 2 }"),
              ElementsAre("Plugin \"x\".data now"));
  EXPECT_THAT(Compared("Plugin \"x\" { } ", "Plugin \"y\" { }"),
              ElementsAre("Plugin \"x\" later", "Plugin \"y\" later"));
}

}  // namespace
}  // namespace assay
