# What jq offers and jaq's library does not.

def @csv: map(
    if isstring then "\"" + (split("\"") | join("\"\"")) + "\""
    elif . == null then ""
    elif isarray or isobject then error("\(type) in a row of @csv")
    else tostring end
  ) | join(",");

def @tsv: map(
    if isstring then
      reduce (["\\", "\\\\"], ["\t", "\\t"], ["\n", "\\n"], ["\r", "\\r"]) as [$from, $to]
        (.; split($from) | join($to))
    elif . == null then ""
    elif isarray or isobject then error("\(type) in a row of @tsv")
    else tostring end
  ) | join("\t");

def ascii: [.] | implode;
def toarray: if isarray then . else [.] end;
def trimstr($text): ltrimstr($text) | rtrimstr($text);
def leaf_paths: paths(scalars);

def IN(values): . as $value | any(values; . == $value);
def IN(some; values): any(some; IN(values));
def INDEX(values; key): reduce values as $value ({}; .[$value | key | tostring] = $value);
def INDEX(key): INDEX(.[]; key);
