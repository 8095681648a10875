#!/usr/bin/env python3
"""Writes the y_ (must be accepted), n_ (must be refused) and i_ (either) files of this folder anew."""
import pathlib

HERE = pathlib.Path(__file__).parent
cases = {}


def add(kind, group, **texts):
    for name, text in texts.items():
        data = text if isinstance(text, bytes) else text.encode()
        key = f"{kind}_{group}_{name}.json"
        assert key not in cases, key
        cases[key] = data


add("y", "structure",
    empty_array="[]", empty_object="{}", space_inside="[ ]", all_white_space=" \t\r\n{ \t\r\n} \t\r\n",
    trailing_newline="[1]\n", nested="[[[]],{}]", object_in_array='[{"a":1},{"a":2}]',
    array_in_object='{"a":[1,2,3]}', mixed='[1,"a",true,false,null,{},[]]', depth_64="[" * 64 + "]" * 64,
    depth_64_objects='{"a":' * 63 + "{}" + "}" * 63, wide="[" + "0," * 9999 + "0]",
    space_everywhere=' { "a" : [ 1 , 2 ] , "b" : { } } ', no_space='{"a":{"b":[{"c":[]}]}}',
    brackets_in_strings='["[{]}","}{"]', punctuation_in_strings='[":,","\\"","//"]',
    bare_number="5", bare_string='"a"', bare_true="true", bare_null="null", bare_negative="-0.1e1")
add("y", "object",
    one='{"a":1}', empty_key='{"":0}', key_with_escape='{"\\u0061\\n":0}', key_with_nul='{"a\\u0000b":0}',
    similar_keys='{"a":1,"A":2,"aa":3,"\\u0000a":4}', key_prefixes='{"a":1,"ab":2,"abc":3}',
    many="{" + ",".join(f'"k{i}":{i}' for i in range(100)) + "}",
    nine="{" + ",".join(f'"{c}":[]' for c in "abcdefghi") + "}",
    same_key_in_other_objects='{"a":{"a":{"a":1}}}', long_key='{"' + "k" * 5000 + '":1}',
    emoji_key='{"\U0001f600":1}', members_after_nested='{"a":{"b":[{}]},"c":1}',
    duplicate_key='{"a":1,"a":1}', duplicate_key_nested='[{"x":{"a":1,"b":2,"a":3}}]',
    duplicate_key_escaped='{"a":1,"\\u0061":2}', duplicate_key_slash='{"a/b":1,"a\\/b":2}',
    duplicate_key_pair='{"\U0001f600":1,"\\ud83d\\ude00":2}', duplicate_empty_key='{"":1,"":2}',
    duplicate_among_many="{" + ",".join(f'"k{i}":{i}' for i in range(40)) + ',"k7":1}',
    duplicate_nul_key='{"\\u0000":1,"\\u0000":2}')
add("y", "number",
    zero="[0]", minus_zero="[-0]", negative="[-12]", fraction="[0.5]", trailing_zero="[1.50]",
    exponent="[1e5]", exponent_upper="[1E5]", exponent_plus="[1e+5]", exponent_minus="[1e-5]",
    exponent_zeros="[1e005]", fraction_exponent="[-12.34e-56]", zero_exponent="[0e0]", zero_fraction="[0.0]",
    huge_integer="[123456789012345678901234567890123456789012345678901234567890]",
    huge_exponent="[1e9999]", tiny_exponent="[1e-9999]", int64_edges="[9223372036854775807,-9223372036854775808]",
    many_digits="[3." + "1415926535" * 20 + "]", after_newline="[\n1\n]", tab_after="[1\t]", cr_after="[1\r]")
add("y", "string",
    empty='[""]', simple_escapes='["\\"\\\\\\/\\b\\f\\n\\r\\t"]', unicode_escape='["\\u00e9"]',
    hex_both_cases='["\\uabCD\\uAbcd"]', escaped_nul='["\\u0000"]', escaped_control='["\\u001f"]',
    surrogate_pair='["\\ud83d\\ude00"]', surrogate_pair_last='["\\udbff\\udfff"]',
    noncharacter='["\\uffff\\ufdd0"]', two_pairs='["\\ud800\\udc00\\ud800\\udc00"]',
    utf8_two_bytes='["\u00e9"]', utf8_three_bytes='["\u20ac"]', utf8_four_bytes='["\U0001f600"]',
    utf8_edges='["\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"]', delete='["\x7f"]',
    line_separators='["\u2028\u2029"]', byte_order_mark_inside='["\ufeff"]', backslash_last='["a\\\\"]',
    escaped_quote_last='["a\\""]', backslashes='["\\\\\\\\\\""]', u_of_backslash='["\\\\u0000"]',
    comment_like='["/* a */ // b"]', long='["' + "x" * 70000 + '"]', long_escaped='["' + "\\u00e9" * 3000 + '"]',
    white_space='[" \u00a0 "]', single_quote="[\"'\"]")
add("y", "literal", true="[true]", false="[false]", null="[null]", all_three='{"a":true,"b":false,"c":null}')

add("n", "structure",
    empty="", only_space=" \n\t", open_array="[", open_object="{", close_array="]", close_object="}",
    mismatched="[}", mismatched_object="{]", crossed='[{"a":1]}', unclosed_nested="[[]", unclosed_object='{"a":1',
    extra_close="[]]", extra_close_object="{}}", two_roots="[][]", two_roots_space="{} {}", text_behind="[] x",
    comma_behind="[],", number_behind="[]1", string_behind='[]""', comma_before=",[]", colon_behind='{"a":1}:',
    colon_brace_behind='{"a":1}:}', comment_block="[/* a */1]", comment_line="[1 // a\n]", comment_hash="[1 # a\n]",
    comment_behind="[1] /* a */", depth_65="[" * 65 + "]" * 65, depth_65_objects='{"a":' * 65 + "1" + "}" * 65,
    many_open="[" * 100000, many_open_objects='{"a":' * 50000, many_open_mixed='[{"a":' * 50000,
    form_feed="[\x0c1]", vertical_tab="[\x0b1]", no_break_space="[\u00a01]", next_line="[\u00851]",
    bom="\ufeff[]", bom_bytes_only=b"\xef\xbb\xbf", bom_cut=b"\xef\xbb[]", utf16_le=b"\xff\xfe[\x00]\x00",
    utf16_be=b"\xfe\xff\x00[\x00]", utf16_no_mark=b"[\x00]\x00", nul_alone=b"\x00", nul_behind=b"[1]\x00",
    nul_before=b"\x00[1]", nul_between=b"[1,\x002]", nul_hides_rest=b"[1]\x00]", angle="<a>", html="<html></html>",
    word="undefined", star="[*]", bare_escape="[\\n]", bare_backslash="[\\]", backslash_behind="[]\\",
    semicolon="[1;2]", equals='{"a"=1}', parentheses="(1)")
add("n", "array",
    comma_only="[,]", trailing_comma="[1,]", leading_comma="[,1]", two_commas="[1,,2]", two_trailing="[1,,]",
    no_comma="[1 2]", no_comma_strings='["a" "b"]', no_comma_arrays="[[][]]", no_comma_objects="[{}{}]",
    colon="[1:2]", colon_string='["a":1]', colon_first="[:1]", colon_last='["a":]', space_comma="[ , ]",
    no_comma_literals="[true false]", no_comma_number_string='[1"a"]', unclosed_comma="[1,", unclosed_value="[1",
    no_comma_after_nested="[[1]2]")
add("n", "object",
    key_only='{"a"}', key_colon='{"a":}', no_colon='{"a" 1}', no_colon_nested='{"a"{}}', comma_for_colon='{"a",1}',
    two_colons='{"a"::1}', two_values='{"a":1:2}', two_values_space='{"a":1 2}', trailing_comma='{"a":1,}',
    leading_comma='{,"a":1}', comma_only="{,}", two_commas='{"a":1,,"b":2}', no_comma='{"a":1 "b":2}',
    number_key="{1:1}", literal_key="{true:1}", null_key="{null:1}", bare_key="{a:1}", array_key="{[]:1}",
    object_key="{{}:1}", single_quotes="{'a':1}", second_key_bare='{"a":1,b:2}', second_key_missing='{"a":1,"b"}',
    value_missing='{"a":,"b":1}', colon_first="{:1}", colon_only="{:}", colon_key_only='{"a":"b":"c"}',
    second_key_number='{"a":1,2:3}', second_is_value='{"a":1,[]}', closed_by_bracket='{"a":1]', string_only='{""}',
    key_and_key='{"a" "b":1}', ends_after_key='{"a"', ends_after_colon='{"a":', ends_after_comma='{"a":1,')
add("n", "number",
    leading_zero="[01]", leading_zeros="[00]", minus_leading_zero="[-01]", minus_only="[-]", plus="[+1]", two_minus="[--1]",
    minus_space="[- 1]", dot_only="[.]", dot_first="[.5]", minus_dot="[-.5]", dot_last="[1.]", minus_dot_last="[-1.]",
    dot_exponent="[1.e1]", exponent_empty="[1e]", exponent_sign_only="[1e+]", exponent_minus_only="[1e-]",
    exponent_fraction="[1e1.5]", exponent_two_signs="[1e+-1]", two_exponents="[1e1e1]", two_dots="[1.2.3]", hex="[0x1]",
    octal="[0o7]", infinity="[Infinity]", minus_infinity="[-Infinity]", nan="[NaN]", minus_nan="[-NaN]", letters="[1a]",
    underscore="[1_000]", comma_group_dot="[1.000.000]", zero_exponent_empty="[0e]", letter_first="[e1]", fullwidth="[\uff11]",
    space_inside="[1 .5]", minus_letter="[-a]", long_bad="[" + "1" * 500 + "x]", zero_x_upper="[0X1]", suffix_n="[1n]",
    minus_zero_digit="[-00]", arabic_digit="[\u0661]", control_behind="[1\x01]", del_behind="[1\x7f]")
add("n", "literal",
    truth="[truth]", tru="[tru]", true_upper="[TRUE]", true_capital="[True]", nul="[nul]", nulls="[nulls]", fals="[fals]",
    null_capital="[Null]", joined="[truefalse]", true_digit="[true1]", letter="[a]", undefined="[undefined]",
    true_quote='[true"a"]', n_alone="[n]", minus_true="[-true]", none="[None]", true_cut_by_brace='{"a":tru}')
add("n", "string",
    unclosed='["a', unclosed_escape='["a\\', unclosed_quote_escaped='["a\\"]', single_quotes="['a']", no_quotes="[abc]",
    raw_newline='["a\nb"]', raw_tab='["a\tb"]', raw_cr='["a\rb"]', raw_nul=b'["a\x00b"]', raw_unit_separator='["\x1f"]',
    raw_newline_in_key='{"a\n":1}', escape_x='["\\x41"]', escape_a='["\\a"]', escape_v='["\\v"]', escape_zero='["\\0"]',
    escape_quote_single='["\\\'"]', escape_newline='["\\\n"]', escape_space='["\\ "]', escape_upper_u='["\\U0041"]',
    escape_emoji='["\\\U0001f600"]', u_empty='["\\u"]', u_three='["\\u123"]', u_not_hex='["\\u12g4"]', u_space='["\\u 123"]',
    u_minus='["\\u-123"]', u_cut_by_end='["\\u12', lone_high='["\\ud800"]', lone_low='["\\udc00"]', high_high='["\\ud800\\ud800"]',
    high_then_text='["\\ud800abcdef"]', high_then_newline='["\\ud83d\\n"]', high_then_plain_u='["\\ud800\\u0041"]',
    low_then_high='["\\ude00\\ud83d"]', high_cut='["\\ud800\\u"]', high_cut_two='["\\ud800\\udc"]', high_in_key='{"\\ud800":1}',
    lone_low_in_key='{"\\udfff":1}', utf8_alone_tail=b'["\x80"]', utf8_cut=b'["\xc3"]', utf8_cut_three=b'["\xe2\x82"]',
    utf8_cut_four=b'["\xf0\x9f\x98"]', utf8_overlong_two=b'["\xc0\xaf"]', utf8_overlong_c1=b'["\xc1\xbf"]',
    utf8_overlong_three=b'["\xe0\x80\xaf"]', utf8_overlong_four=b'["\xf0\x80\x80\xaf"]', utf8_overlong_nul=b'["\xc0\x80"]',
    utf8_surrogate_high=b'["\xed\xa0\x80"]', utf8_surrogate_low=b'["\xed\xbf\xbf"]', utf8_too_big=b'["\xf4\x90\x80\x80"]',
    utf8_five_bytes=b'["\xf8\x88\x80\x80\x80"]', utf8_ff=b'["\xff"]', utf8_fe=b'["\xfe"]', utf8_latin1=b'["\xe9"]',
    utf8_bad_in_key=b'{"\xff":1}', utf8_bad_outside=b"[\xff]", utf8_tail_after_quote=b'["a"\x80]', utf8_lead_eats_quote=b'["\xe2"]',
    utf8_cesu=b'["\xed\xa0\xbd\xed\xb8\x80"]', smart_quotes="[\u201ca\u201d]", two_joined='["a""b"]', quote_three='["""]')

add("i", "limits",
    depth_500="[" * 500 + "]" * 500, depth_500_objects='{"a":' * 500 + "1" + "}" * 500,
    long_integer="[" + "9" * 400 + "]", exponent_overflow="[-123123e100000]", long_fraction="[0." + "0" * 400 + "1]",
    deep_mixed='[{"a":' * 40 + "1" + "}]" * 40)


def main():
    for old in HERE.glob("[yni]_*.json"):
        old.unlink()
    for name, data in cases.items():
        (HERE / name).write_bytes(data)
    print(len(cases), "files")


if __name__ == "__main__":
    main()
