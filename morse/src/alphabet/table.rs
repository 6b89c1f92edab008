//! The codes themselves, in the order in which they are looked up.

use super::{Class, Code, Entry, Symbol};

const fn character(symbol: char, code: &str, class: Class) -> Entry {
    Entry { symbol: Symbol::Char(symbol), code: Code::from_literal(code), class }
}

const fn prosign(name: &'static str, code: &str) -> Entry {
    Entry { symbol: Symbol::Prosign(name), code: Code::from_literal(code), class: Class::Prosign }
}

/// The alphabet: what the Recommendation has first, so that a code read as something of it is
/// never read as something else.
pub const ENTRIES: &[Entry] = &[
    // ITU-R M.1677-1, section 1.1.1: letters
    character('A', ".-", Class::Letter),
    character('B', "-...", Class::Letter),
    character('C', "-.-.", Class::Letter),
    character('D', "-..", Class::Letter),
    character('E', ".", Class::Letter),
    character('F', "..-.", Class::Letter),
    character('G', "--.", Class::Letter),
    character('H', "....", Class::Letter),
    character('I', "..", Class::Letter),
    character('J', ".---", Class::Letter),
    character('K', "-.-", Class::Letter), // also the invitation to transmit
    character('L', ".-..", Class::Letter),
    character('M', "--", Class::Letter),
    character('N', "-.", Class::Letter),
    character('O', "---", Class::Letter),
    character('P', ".--.", Class::Letter),
    character('Q', "--.-", Class::Letter),
    character('R', ".-.", Class::Letter),
    character('S', "...", Class::Letter),
    character('T', "-", Class::Letter),
    character('U', "..-", Class::Letter),
    character('V', "...-", Class::Letter),
    character('W', ".--", Class::Letter),
    character('X', "-..-", Class::Letter),
    character('Y', "-.--", Class::Letter),
    character('Z', "--..", Class::Letter),
    character('É', "..-..", Class::Accented),
    // 1.1.2: figures
    character('0', "-----", Class::Digit),
    character('1', ".----", Class::Digit),
    character('2', "..---", Class::Digit),
    character('3', "...--", Class::Digit),
    character('4', "....-", Class::Digit),
    character('5', ".....", Class::Digit),
    character('6', "-....", Class::Digit),
    character('7', "--...", Class::Digit),
    character('8', "---..", Class::Digit),
    character('9', "----.", Class::Digit),
    // 1.1.3: punctuation marks and miscellaneous signs
    character('.', ".-.-.-", Class::Punctuation),
    character(',', "--..--", Class::Punctuation),
    character(':', "---...", Class::Punctuation),
    character('?', "..--..", Class::Punctuation),
    character('\'', ".----.", Class::Punctuation),
    character('-', "-....-", Class::Punctuation),
    character('/', "-..-.", Class::Punctuation),
    character('(', "-.--.", Class::Punctuation), // also <KN>: go ahead, the station called only
    character(')', "-.--.-", Class::Punctuation),
    character('"', ".-..-.", Class::Punctuation),
    character('=', "-...-", Class::Punctuation), // also <BT>: a break in the text
    character('+', ".-.-.", Class::Punctuation), // also <AR>: end of the message
    character('@', ".--.-.", Class::Punctuation),
    prosign("SN", "...-."),    // understood; also <VE>
    prosign("HH", "........"), // error
    prosign("AS", ".-..."),    // wait
    prosign("SK", "...-.-"),   // end of work; also <VA>
    prosign("KA", "-.-.-"),    // starting signal; also <CT>
    // Amateur radio and distress at sea
    prosign("BK", "-...-.-"),
    prosign("CL", "-.-..-.."),
    prosign("SOS", "...---..."),
    // Punctuation in general use
    character('!', "-.-.--", Class::Extra),
    character(';', "-.-.-.", Class::Extra),
    character('_', "..--.-", Class::Extra),
    character('$', "...-..-", Class::Extra),
    character('&', ".-...", Class::Extra), // the same as <AS>
    character('×', "-..-", Class::Extra),  // the Recommendation's multiplication sign is an X
    // Accented letters; of those with one code, the first is what a receiver prints
    character('Ä', ".-.-", Class::Accented),
    character('Ö', "---.", Class::Accented),
    character('Ü', "..--", Class::Accented),
    character('Å', ".--.-", Class::Accented),
    character('ß', "...--..", Class::Accented),
    character('Ñ', "--.--", Class::Accented),
    character('È', ".-..-", Class::Accented),
    character('Ç', "-.-..", Class::Accented),
    character('Þ', ".--..", Class::Accented),
    character('Ð', "..--.", Class::Accented),
    character('Ĝ', "--.-.", Class::Accented),
    character('Ĵ', ".---.", Class::Accented),
    character('Ŝ', "...-.", Class::Accented),
    character('Ś', "...-...", Class::Accented),
    character('Ź', "--..-.", Class::Accented),
    character('Ż', "--..-", Class::Accented),
    character('Á', ".--.-", Class::Accented),
    character('À', ".--.-", Class::Accented),
    character('Ą', ".-.-", Class::Accented),
    character('Æ', ".-.-", Class::Accented),
    character('Ć', "-.-..", Class::Accented),
    character('Ĉ', "-.-..", Class::Accented),
    character('Ę', "..-..", Class::Accented),
    character('Ĥ', "----", Class::Accented),
    character('Ł', ".-..-", Class::Accented),
    character('Ń', "--.--", Class::Accented),
    character('Ó', "---.", Class::Accented),
    character('Ø', "---.", Class::Accented),
    character('Ŭ', "..--", Class::Accented),
];
