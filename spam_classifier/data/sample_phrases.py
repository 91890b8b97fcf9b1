"""Word lists and templates for the embedded sample corpus, all written for this project.

A template is a line of text (a backslash at its end continues it) in a notation that ``sample_generator``
expands:

* ``{name}`` becomes one entry of the word list ``WORDS["name"]``, expanded in its turn;
* ``{3-9}`` becomes a whole number from that range, padded with zeros to the width of its lower bound;
* ``[one|two|]`` becomes one of the alternatives, an empty one included; brackets nest;
* ``<<this||that>>``, in ``PAIRS`` only, is ``this`` in the ham reading and ``that`` in the spam reading.

Brands are invented, hosts lie under the reserved ``example`` domains, and telephone numbers come from the
ranges set aside for fiction: Ofcom's 07700 900xxx, 020 7946 0xxx and 0808 157 0xxx, and 555-01xx in the US.
"""


def _words(text: str) -> list[str]:
    """The comma-separated entries of a text."""
    return [" ".join(word.split()) for word in text.split(",")]


def _lines(text: str) -> list[str]:
    """The non-empty lines of a text."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


WORDS: dict[str, list[str]] = {
    # people and places
    "name": _words("""
        Sam, Priya, Tom, Aisha, Jo, Leila, Ben, Mei, Carlos, Nadia, Femi, Ruth, Olek, Hannah, Ravi, Zoë, Kofi,
        Ines, Dan, Yusuf, Clare, Ewan, Sofia, Marek, Beth, Chidi, Lucía, Anton, Grace, Haruto, Niamh, Viktor,
        Amara, Jonas, Tess, Imran, Rosa, Theo, Freya, Malik, Bea, Joaquín, Kirsty, Dev, Elif, Owen, Maja, Rory
    """),
    "relation": _words("""
        mum, dad, your sister, my brother, gran, auntie {name}, uncle {name}, my cousin, the kids, nana
    """),
    "parent": _words("mum, dad, Mum, Dad, mam, mom"),
    "endearment": _words("""
        love, mate, hun, babe, pal, sweetie, bro, darling, dude, sis, cuz, my dear, you two, stranger
    """),
    "place": _words("""
        the station, the library, the {colour} café, the pool, the park, yours, mine, the office,
        the Red Otter, the gym, the harbour, the garden centre, platform {2-9}, the cinema, the bakery,
        the back gate, the surgery, the climbing wall, {name}'s place, the market, the old mill, the bus stop,
        the school hall, the allotment
    """),
    "town": _words("""
        Ashcombe, Millbrook, Port Wren, Hollowell, Dunmere, Castle Bray, Little Tarn, Eastmoor, Oakhaven,
        Saltby
    """),
    "colour": _words("blue, green, yellow, red, grey, purple, pink"),
    "team": _words("Ashcombe, Millbrook, Port Wren, the Otters, Dunmere, the reserves, the vets, Eastmoor"),
    # times, sums and references
    "day": _words("""
        tomorrow, tonight, on Monday, on Tues, Wednesday, on Thurs, Friday, on Sat, Sunday, next week,
        after work, this weekend, on the {4-20}th, in the morning, later, at lunch
    """),
    "clock": _words("""
        {1-11}, {1-11}pm, half {4-9}, {1-9}.30, {5-11}ish, quarter to {4-9}, {10-19}:{10-59}, {6-11}am, noon
    """),
    "weekday": _words("Mon, Tue, Wed, Thu, Fri, Sat, Monday, Tuesday, Wednesday, Thursday, Friday, Saturday"),
    "month": _words("January, February, March, April, May, June, July, August, September, October, November"),
    "date": _words("{1-28} {month}, {weekday} {2-28} {month}, {01-28}/{01-12}, {month} {2-28}"),
    "price": _words("""
        £{2-95}, £{2-60}.{10-99}, ${3-95}, €{4-80}, £{1-39}.99, {5-90} quid, ${1-49}.50, {5-60} euros
    """),
    "fee": _words("£1.{10-99}, £2.{10-99}, £0.99, $1.{10-99}, €1.{10-99}, £3.{10-99}, $2.99, €2.50"),
    "sum": _lines("""
        £{100-950}
        £{2-9},{100-999}
        ${100-900}
        €{100-900}
        £{1-9}000
        ${2-9}k
        £{1-5},{0-9}50
        {200-900} [pounds|euros|quid]
    """),
    "ref": _words("""
        {ref_letter}{ref_letter}{100-9999}, {ref_letter}{1000-9999}, #{1000-99999}, {100-999}-{ref_letter}
    """),
    "ref_letter": _words("A, B, C, D, F, H, K, M, P, R, T, V, X, Z"),
    "code": _words("{100000-999999}, {1000-9999}, {100-999}-{100-999}, {ref_letter}-{10000-99999}"),
    # telephone numbers and addresses reserved for fiction
    "mobile": _words("07700 900{000-999}, 07700900{000-999}, +44 7700 900{000-999}, 07700-900-{000-999}"),
    "landline": _words("020 7946 0{000-999}, 02079460{000-999}, +44 20 7946 0{000-999}"),
    "freephone": _words("0808 157 0{000-999}, 08081570{000-999}, 0808-157-0{000-999}"),
    "us_phone": _words("({201-989}) 555-01{00-99}, {201-989}-555-01{00-99}, 555-01{00-99}"),
    "phone": _words("{mobile}, {landline}, {freephone}, {freephone}, {us_phone}, {mobile}"),
    "short_code": _words("6{0000-9999}, 7{0000-9999}, 8{0000-9999}"),
    "host": _words("""
        {site}.example.com, {site}.example.org, {site}.example.net, {site}.example.test, example.com/{site},
        www.{site}.example.com
    """),
    "site": _words("""
        hub, my, go, portal, photos, fernmoor, hedgepost, parcelwing, zingtel, tickets, club, news, shop, pay,
        m, secure, kestrelby, forms, blog, app, deals, account, help, events, recipes, quiz, members, jobs,
        track, live
    """),
    "page": _words("""
        {ref_letter}{100-999}, {100-9999}, {site}, {site}-{10-99}, view, start, r/{100-999}, id={1000-9999},
        page{2-9}, today
    """),
    "url": _words("""
        https://{host}/{page}, http://{host}/{page}, {host}/{page}, {host}, https://{host}, {host}/{page}
    """),
    "email": _words("{site}{10-99}@example.com, {site}@example.org, help@{site}.example.net"),
    # invented brands
    "bank": _words("Fernmoor Bank, Kestrelby BS, Mirefield Mutual, Oldwharf Bank, Tarnside, Pennyfold"),
    "courier": _words("Hedgepost, Parcelwing, SwiftHare, Dropmoor, BoxWren, Rowanpost"),
    "network": _words("Zingtel, Bluemoor Mobile, Talkfern, Hopwire, Nimbusphone"),
    "shop": _words("""
        Basketwell, Marlpit & Co, Lanternry, Threadfold, Grocerby, Petalworth, Bootloft, Gadgetmere
    """),
    "coin": _words("MossCoin, HarbourX, Bitlark, Quaycoin, FernChain, NovaPenny"),
    "employer": _words("Brightloft, Tallowby Ltd, Corvane, Wickerly, Stonefern Media, Oxlip Vale Ltd"),
    "show": _words("""
        the new {colour} planet series, that baking thing, Harbour Nights, the quiz, the match,
        The Lantern Keeper, that heist film, the documentary about eels, Ghost Tram
    """),
    # things
    "food": _words("""
        curry, lasagne, fish and chips, ramen, tacos, soup, leftovers, jollof, pierogi, noodles, roast beef,
        dal, pancakes, falafel, crème brûlée, toast, burgers, phở, jalapeño poppers, dumplings, stew
    """),
    "groceries": _words("""
        milk, bread, eggs, bin bags, nappies, coffee, limes, cat food, onions, nice cheese, tinfoil, rice,
        washing up liquid
    """),
    "thing": _words("""
        keys, charger, blue jacket, umbrella, sunglasses, lunchbox, passport, laptop, bike lock, guitar,
        scarf, glasses, hard hat, swimming bag, ladder, drill, library book, headphones
    """),
    "pet": _words("""
        the dog, the cat, Biscuit, the hamster, Mr Whiskers, next door's cat, the tortoise, the puppy
    """),
    "gadget": _words("""
        phone, tablet, 50 inch TV, games console, smartwatch, laptop, camera, mountain bike, coffee machine
    """),
    "holiday": _words("""
        a week in the sun, a cruise for two, a weekend in Port Wren, 5 nights in Málaga, a city break,
        a spa day for 2, a ski trip
    """),
    "subject": _words("""
        stats, chemistry, Latin, French, anatomy, algebra, macro, geography, history, thermodynamics
    """),
    "job": _words("""
        the report, the slides, the invoice, the rota, the budget, the quote, the handover notes, the minutes,
        the stock count
    """),
    "excuse": _words("""
        the bus never came, I overslept, my phone died, {pet} got out, I got stuck in a meeting,
        the trains are a mess, I forgot, my alarm didn't go off, the car wouldn't start,
        I fell asleep on the sofa, the roadworks are back
    """),
    "feeling": _words("""
        knackered, happy, nervous, starving, freezing, bored, chuffed, gutted, hungover, fine, excited, grumpy
    """),
    "activity": _words("""
        go for a run, see a film, play cards, go swimming, get lunch, walk {pet}, do the crossword,
        paint the fence, watch {show}, go dancing, bake something, take the kids to {place},
        try the new place in {town}
    """),
    "laugh": _words("lol, haha, hahaha, LOL, 😂, 🤣, ha, lmao, hehe"),
    "emoji": _words("😂, 😊, ❤️, 🙈, 👍, 😭, 🎉, 😴, 🤣, 🙄, 🔥, ☀️, 🤞, 😘, 🥳, 👀, 💸, 🎁, ✅, 🍕"),
    "smiley": _words(":), :-), ;), :(, xx, x, <3, :D, :/, ^^"),
    # what goes round a message
    "hello": _words("""
        Hey, Hi, Hiya, Hello, Hey {name}!, Hi {name}., {name}!, Morning!, Evening {endearment}., Oi oi,
        Hey you, Alright {endearment}?, Yo, Hi {endearment}!, Hey {endearment}., Hi hi, Good morning {name}.,
        Psst
    """),
    "bye": _lines("""
        See you [soon|later|then|there].
        Love you [x|xx|].
        [Speak|Talk] [soon|later|tomorrow].
        No rush [though|tho|at all].
        Let me know.
        Text me [when you're free|when you get this|back].
        Call me [later|if you can|when you're out of work].
        How was [your day|work|the dentist|your weekend]?
        Hope you're [ok|well|feeling better|having a good one].
        {smiley}
        {laugh}
        {emoji}
        What do you think?
        [Night|Nite] [night|x|{endearment}]
        Ta [x|very much|mate]
        Anyway, back to it.
        Miss you [loads|x|].
        - {name}
        Say hi to {relation} [from me|x].
        Cheers [{endearment}|]
        Don't reply if you're driving!
        [Gotta|Got to] go, {pet} is [barking|being sick|on the table].
        Free {day}?
        {name} says hi [too|btw|].
        Tell {name} as well [please|pls|].
        I owe you [one|a pint|a coffee|lunch].
    """),
    "nudge": _lines("""
        Reply STOP to [end|opt out|cancel].
        T&Cs apply.
        Offer ends [tonight|soon|Sunday|{day}].
        18+ [only|].
        [Hurry|Be quick|Act now|Don't miss out]!
        Txt [STOP|END] to {short_code} to [leave|unsubscribe].
        {fee}/msg.
        Std rates apply.
        Call {phone}.
        {url}
        Ref {ref}.
        Limited [places|stock|spaces] [left|].
        No [catch|obligation|strings|credit check].
        [Last|Final] [chance|reminder|notice].
        {emoji}{emoji}
        This offer is [just for you|for {network} customers|valid until {date}].
        [Msg|Message] {short_code}.
        - {name}
        Don't reply, just [click|call|tap].
        Thank you for your [custom|loyalty|patience].
        {smiley}
    """),
    # long ham: one pool of openings, happenings and endings for each kind of story
    "trip_open": _lines("""
        You will not believe the journey we had [today|yesterday|getting to {town}].
        So we finally made it to {town}, only {2-9} hours late.
        Right, holiday report as promised, make yourself a tea first.
        We're back from {town} and I have so much to tell you.
        Sorry for going quiet, the signal on the {colour} island is hopeless.
    """),
    "trip_event": _lines("""
        First {excuse}, and then the man at the desk said our booking was for {month}.
        {name} left the passports on the kitchen table so we turned round at {town}.
        The hotel upgraded us to a suite for free because our room had a leak, so we felt like lottery \
        winners.
        We ate {food} every single night and I regret nothing.
        It rained for {2-6} days and we played so many card games that {name} now owes me {price}.
        The kids made friends with a donkey and cried for an hour when we had to leave.
        I got sunburnt on one arm only, from hanging it out of the car window.
        A very kind lady gave us a lift to {place} and wouldn't take a penny for petrol.
        We climbed the hill behind the town and you could see all the way to the sea.
        They lost my bag, rang to say they'd found it, then lost it again.
        The taxi wanted {sum} for ten minutes so we walked, uphill, with cases.
        On the last evening there were fireworks and the whole square was singing.
    """),
    "trip_end": _lines("""
        Photos are at {url} when you have a minute, the password is the dog's name.
        Anyway, we're home, the washing machine is on, and I've brought you something that may or may not be \
        cheese.
        Next year we're staying at home and that's final.
        Come round {day} and I'll tell you the rest, there is a lot more and some of it is about {name}.
        How was your week? Did the plumber ever come?
    """),
    "work_open": _lines("""
        What a day.
        Need to vent for a second, you don't have to answer.
        So the big meeting was today.
        Ok so you know I said this week would be quiet?
        Quick update on the job front, well, not that quick.
    """),
    "work_event": _lines("""
        {name} sent {job} to the wrong client and we spent the whole morning apologising on the phone.
        The lift got stuck with half of the finance team inside and {name} passed biscuits through the gap.
        My manager liked {job} so much that she read it aloud, mistakes included.
        They want everything by Friday, which is funny because they gave it to us on Wednesday.
        I won the raffle at lunch, first prize no less, and it turned out to be a voucher for the canteen.
        Then the fire alarm went and we stood in the rain for {20-50} minutes talking about {show}.
        I asked about the pay rise and she said they'd look at it in {month}, so I'm taking that as a no.
        The printer caught fire. Not a figure of speech.
        Somebody clicked on one of those fake parcel texts and IT have locked all of our accounts until \
        {weekday}.
        {name} is leaving for {employer}, better money and two days at home, so I'm jealous and sad in equal \
        parts.
        I had to give {name}'s presentation with no notes, because {excuse}.
        The new coffee machine takes cards only and charges {price}, there may be a revolution.
    """),
    "work_end": _lines("""
        Anyway I'm on the train now with a bag of crisps and I'm not opening my laptop until Monday.
        Fancy {food} {day}? My treat, if the bonus ever lands.
        Tell me something nice that happened to you today.
        Still, payday on the {24-28}th. I'll send you the money for the tickets then.
        Please remind me of this when I next say that I love my job.
    """),
    "family_open": _lines("""
        Full report from {relation}'s birthday, as you couldn't come.
        Gran rang and kept me on the phone for an hour, so here is all the news.
        Well, the wedding was lovely.
        Thank you so much for {day}, it meant a lot to all of us.
        I've been meaning to write properly for ages, so here goes.
    """),
    "family_event": _lines("""
        {name} has passed the driving test at the {2-6}th go and has already scraped the gate.
        Dad is convinced that he's won a cruise, it took me and {name} all afternoon to explain that nobody \
        wins a cruise they never entered for.
        The baby has two teeth and bites everyone, {pet} included.
        Your cousin gave a speech that began well and ended with a story about {pet} that no one needed to \
        hear.
        Auntie {name} sold the house at last, for more than the asking price, and cried in the car all the \
        way to {town}.
        {relation} made {food} for {20-60} people and there was still some left.
        The little one asked whether you live inside the phone.
        We found a box of old photos in the loft, there is one of you in a {colour} hat that I will never \
        let you forget.
        Uncle {name} is out of hospital and complaining about the tea, so he must be feeling better.
        Mum's been texting with one finger all week, if you get a message that makes no sense, that's why.
        They have put the clocks right in the kitchen, except the oven, nobody understands the oven.
        {name} got the scholarship!! Full fees, we screamed so loudly the neighbours came round.
    """),
    "family_end": _lines("""
        Ring her when you can, she pretends not to mind but she does. Love to you all xx
        We missed you. Come for lunch {day}, there's always a chair for you.
        I'll transfer you my half of the present tonight, just send me your details again, I've lost them.
        That's all the gossip I have. Your turn!
        Wrap up warm, eat something green, and call your mother.
    """),
    "study_open": _lines("""
        Exam update, since you asked.
        Deep breath. Results came out this morning.
        I have been in the library since {6-9} and I've lost the will to live.
        Long one, sorry, but you're the only person who'll get it.
        Hi {name}, it's {name} from the {subject} group.
    """),
    "study_event": _lines("""
        Question {2-7} was on the one chapter I skipped, obviously.
        I wrote {2-9} pages on {subject} and then read the title again, and it was about something else.
        The fire alarm went off half way through and we all had to stand on the grass in silence.
        My supervisor says the draft is 'nearly there', which last time meant another month.
        {name} got the top mark and a cash prize from the department, {price}, we're making them buy the \
        first round.
        The upload page froze at {10-59} minutes past and I have a screenshot to prove it.
        I've had {3-8} coffees and I can hear colours.
        We booked the group room until {clock}, bring your notes and something to eat.
        The loan still hasn't come through so I'm living on {food} until they fix it.
        They've moved the deadline to {date}, which is the first good news this term.
        I understood {subject} for about a minute on Tuesday and it was beautiful.
    """),
    "study_end": _lines("""
        Anyway it's done, and whatever happens, I'm sleeping until Thursday.
        If I fail I'll open a bakery. If I pass I'll open a bakery too, to be honest.
        Can I borrow your notes for the last two weeks? I'll pay you in {food}.
        The slides are on {url} if yours won't open.
        Wish me luck for {weekday}, I'll need all of it.
    """),
    "home_open": _lines("""
        The house saga continues.
        Ok, the flat. You wanted to know, so I'm telling you.
        Hello from a kitchen with no ceiling.
        Update on the move, in no sensible order.
        You asked how the garden was getting on, sit down.
    """),
    "home_event": _lines("""
        The plumber came, looked at it, said 'ooh' and left to get a part on Monday. It's Friday.
        We painted the hall {colour} and in daylight it's a completely different {colour}.
        {name} put a shelf up and the shelf is fine, it's the wall that came down.
        The bank finally said yes to the mortgage, {2-6} months and about a thousand forms later.
        The man next door lent us his {thing} and stayed until {clock} telling us about his knee.
        We found a wasps' nest the size of a football behind the boiler.
        {pet} has claimed the new sofa and we're not allowed near it.
        The removal people sent a quote for {sum}, so {name} is hiring a van.
        All the lights on the left side of the house work the doorbell now.
        We won the fight with the council about the bins, {2-6} letters and a photo did it.
        The delivery came while we were out and the driver hid it so well it took us {2-4} days to find it.
    """),
    "home_end": _lines("""
        If you don't need your {thing} could we borrow it {day}? I promise to give it back this time.
        Come and see it before it falls down.
        The spare room will be ready by {month}, probably. You're the first guest.
        I'd send you photos but the wifi man isn't coming until {date}.
        Other than that, all good. How are you?
    """),
    # long spam, in the same way
    "letter_open": _lines("""
        Dear {sir}, I hope this message finds you well.
        Greetings to you and your family.
        Please forgive me for writing to you out of the blue.
        Good day, I am {name}, a [lawyer|solicitor|manager] at {bank}.
        Kindly read this to the end as it concerns your future.
    """),
    "sir": _words("friend, sir, beneficiary, customer, {name}, account holder, one"),
    "letter_event": _lines("""
        A client of mine died in {month} and left {2-9},{100-999},000 dollars with no next of kin, and you \
        carry the same family name.
        I have been told by my doctor that I don't have long, and I want my money to go to a good person who \
        will use it well.
        The board met on {date} and your name was drawn for the compensation fund.
        You will keep {20-45} percent for yourself and I will ask you only to be honest with me.
        There's no risk at all, my colleague {name} has done this many times and it was fine.
        For the papers we need your full name, your age, a copy of your passport and the details of your \
        account.
        The only cost is the transfer fee of {sum}, which you will get back the same day.
        Please don't speak about this to anybody, not even at your bank, until the money has arrived.
        I found you through a prayer and a directory, and I feel that I can trust you.
        The money is in a box with a security company in {town} and the storage must be paid by {date}.
    """),
    "letter_end": _lines("""
        Write to me only at {email} and I will explain everything.
        I wait for your quick answer. Yours, {name}
        Ring my private line {phone} and ask for {name}.
        God bless you, and please do hurry, there is not much time.
        Reply with your details today so that I can begin. Warm regards, {name}
    """),
    "offer_open": _lines("""
        Hi, this is {name} from [the hiring team at {employer}|{employer}], I saw your CV online and I was \
        impressed.
        Hello, are you still looking for [work|a job|something part time]?
        Hey {name}, long time! I don't normally write about this sort of thing.
        I was where you are a year ago: two jobs, no money, no time for my kids.
        Good news, your number was recommended to us for a [home job|remote role|new position].
    """),
    "offer_event": _lines("""
        You only need a phone and about {30-90} minutes a day, and you choose when, so it's perfect with a \
        family.
        We rate hotels and restaurants and get paid for each one, {price} a time.
        My first week I made {sum} and honestly I thought that it was a joke until it was in my bank.
        There's a small deposit of {price} to open your work account, which comes back with your first pay.
        No experience needed, our trainer {name} will sit with you and guide you through every step.
        All you do is receive transfers into your account and send them on, and you keep {5-15}% of each.
        My mentor {name} trades {coin} for us and last month nobody in the group lost a penny.
        Put in {sum} and watch it on the app, by {weekday} it doubles, I've seen it so many times now.
        Even my mum does it and she's {61-79} and can't work the TV.
        We have {2-9} places left and they'll be gone by {weekday}.
    """),
    "offer_end": _lines("""
        Message me on {mobile} and I'll add you to the group.
        Just reply YES and your first name and I'll send you what you need to begin.
        The form is at {url}, it takes two minutes.
        Don't overthink it, the people who wait are the people who miss out. Talk soon, {name}
        If it's not for you, no hard feelings, but please pass it on to {2-5} friends.
    """),
    "plea_open": _lines("""
        Hi {parent}, it's me, I'm on a friend's phone.
        {parent} please don't worry but something has happened.
        Hello gran, this is your oldest grandchild, I've a new number.
        It's me, I can't talk, my speaker is broken from the fall.
        Hiya, sorry for the strange number, I'll tell you everything later.
    """),
    "plea_event": _lines("""
        Mine fell in the [sink|sea|bath|toilet] and the man at the shop says that it's dead.
        My bank app is locked for {24-72} hours because of the new phone and I've a bill that's due today.
        I need {sum} for the rent or I'll lose the flat, I feel awful asking.
        We had a little accident with the hire car and they're keeping my passport until I pay {sum}.
        You can send it to my friend {name}, I'll give you the account number.
        Please don't ring the old number, somebody else may have it.
        I'll pay you back {day}, I promise, with a big hug.
        Don't tell dad, he'll only be cross and he's got enough on his plate.
        Could you do it now, while I'm still here with the lady from the hotel?
    """),
    "plea_end": _lines("""
        Let me know when it's done and send me a picture of the payment. Love you x
        I'm so sorry, you're the only one I can ask. xx
        Text me back here as soon as you see this.
        How much could you manage today? Even half would help.
        Please hurry, they close at {3-6}. Love you lots.
    """),
    "romance_open": _lines("""
        Hello dear, I saw your picture and I couldn't stop smiling.
        I hope it isn't strange that I'm writing, {name} gave me your number.
        Is this {name} from the yoga class? Oh no, I think I have the wrong number, but you seem so kind.
        Good morning my dear, did you sleep well? I thought of you all night.
        Sorry, I meant to send that to my driver! But perhaps it's fate that we meet.
    """),
    "romance_event": _lines("""
        I work on a ship far away and the evenings are so quiet with no one to talk to.
        I'm {31-58}, I lost my husband {2-9} years ago and I live with my little girl and {pet}.
        I love {food}, long walks and honest people, there are so few of them now.
        My uncle taught me how to trade {coin} and I'd like to share it with someone I trust.
        I'd fly to see you tomorrow but my card is blocked and the ticket is {sum}.
        I have sent you a parcel with a watch and a letter, but the customs man wants {sum} before he lets \
        it go.
        I don't like this app very much, come and write to me at {url} where we can be alone.
        You have a warm heart, I can tell by the way that you write.
        When my contract ends in {month} I want to buy a house by the sea and fill it with laughter.
    """),
    "romance_end": _lines("""
        Write to me soon, I'm waiting by the phone. Your {name}
        Could you help me just this once? I'd never ask if I had anyone else.
        Tell me about your day, and your work, and if you own your house.
        Add me on {mobile} and I'll send you more photos {emoji}
        Don't break my heart, darling. x
    """),
}

SLANG = dict(
    pair.split()
    for pair in _words("""
        you u, are r, your ur, you're ur, to 2, for 4, please pls, see c, tonight 2nite, tomorrow 2moro,
        great gr8, later l8r, text txt, message msg, because cos, about bout, going goin, what wat,
        really rly, and n, love luv, thanks thx, have hav, before b4, people ppl, something summat,
        don't dont, with wiv, that dat, minutes mins, right rite, night nite, be b, back bk
    """)
)
LOUD_WORDS = _words("""
    free, win, won, winner, claim, cash, prize, call, loan, pills, reply, bank, credit, urgent, account,
    money, collect, pay, new, pending, verify, earn, rich, ticket, tickets, guaranteed
""")

HAM_SHORT = _lines("""
    [ok|k|kk|okay|OK] [|x|xx|then|mate|cool|{emoji}|{name}]
    [lol|haha|hahaha] [yes|no|ok|same|what|true|why|{emoji}|]
    {emoji}
    {emoji}{emoji}[|{emoji}]
    [yes|yep|yeah|ya|yup|no|nope|nah] [|x|pls|please|thanks|sorry|of course|{emoji}|{endearment}]
    {laugh} [omg|stop|brilliant|you're awful|I can't|never|so true]
    On my way [|x|{emoji}]
    Here [|now|at last|where are you]
    [Where|When|Which one|Who|Why|How|What] [|?|??|exactly?|though?]
    At {place}
    [Thanks|Thank you|Ta|Cheers|Merci|Gracias] [|x|{endearment}|{name}|so much|a lot]!
    {clock} [|?|ok?|works|then|pls]
    [Night|Nite|Morning|Evening] [|x|xx|{emoji}|all]
    u ok? [|x]
    [5|10|15|20] mins [|max|tops|x]
    Call me [|pls|when you can|asap]
    [Sorry|Soz|Oops] [|x|wrong chat|my bad|{name}]
    [Love|Miss] you [|too|x|xx|more]
    [Done|Sent|Paid|Home|Booked|Sold] [|!|x|{emoji}|yay]
    [Not|Maybe] [yet|today|really|later|sure]
    [Good|Great|Nice|Lovely|Fab] [|x|one|stuff|idea]
    brb [|{emoji}]
    {price}?? [no way|for that?|each?|ouch]
    [Deal|Done deal|Sold|I'm in|Count me in][|!|.]
    [Who is this|Who's this|New phone, who's this][?|??]
    gr8 [c u l8r|thx|see u 2nite]
    Free {day}?
    You win [again|this time|, fine]
    [Yay|Woo|Get in][!|!!|!!!]
    {food}?
""")

HAM_CHAT = _lines("""
    Are you [still up|awake|asleep]? [Can't sleep|Bored|Wide awake] [again|here|as usual].
    I'm so {feeling}, [today was|that was|it's been] [a lot|too long|mad].
    [Guess who|You'll never guess who] I [just saw|bumped into] at {place}? {name}!
    Did you [see|watch|catch] {show} last night? [No spoilers|The ending!!|I cried].
    It's [snowing|raining|boiling|freezing] here, what's it like [in {town}|where you are|over there]?
    [Remember|Do you remember] that [song|joke|man] from {place}? [It's been in my head all day|I found it].
    I had the [strangest|maddest] dream, you were [a fish|the king of {town}|late, as usual] and {name} was \
    driving.
    So is {name} [seeing|dating|still with] {name} or not? I can't keep up.
    My {thing} [has|have] vanished. If [you see it|it turns up] at yours, [shout|tell me].
    {name} [says|reckons] you owe me {food}. [I agree|Just saying|I'd listen to {name}].
    [Nothing much|Not a lot], just {feeling}. You?
    I've decided I'm going to {activity} every {weekday}. [Hold me to it|Don't laugh].
    [Happy birthday|Many happy returns] {name}!! [Hope it's a good one|Cake at {clock}|Get the kettle on].
    Your [voicemail|phone] is [full|off] again. Ring me when you get a minute.
    {name} has a new [haircut|job|car|tattoo] and [it's great|I have questions|we're not allowed to mention \
    it].
    I can't talk now, I'm [in a meeting|in the cinema|driving, {name} is typing|in the quiet coach]. \
    [Urgent|What's up]?
    Finally finished that book. [You were right|Hated it|Now what do I do with my life]?
    Why is {pet} [looking at me like that|in the bath|wearing my {thing}]
    {name} and I are at {place}, [come down|join us|where are you]? There's {food}.
    I [think|swear] I left my {thing} at {place}. [Can you look|Typical].
    That was [fun|lovely|a good night]. [We should do it more|Same again {day}|My feet hurt].
    [Quick|Random] question, what's the name of that place with the good {food}?
    You've gone quiet. [Everything ok|Did I say something|Busy]?
    Tell {name} the answer was [{2-99}|a penguin|Belgium]. {laugh}
    How do you [spell|say] [necessary|rhythm|jalapeño|Llanelli]? Asking for {name}.
    {name} is [asleep on the sofa|singing|on a diet] again, pray for us.
    I [hate|love] this weather. Shall we {activity} {day} or wait?
    Just [woken up|got in|got off the phone to {name}]. What did I miss?
    [Proper|Real] letter on the way to you btw, in an envelope with a stamp and everything.
    Sending {name} and you a [big|huge] hug. [It'll be fine|You've got this|Today will be over soon].
    I keep thinking about what you said {weekday}. You're right, I should just ring {name}.
    ok so [the thing|what] I wanted to tell you: {name} is moving to {town}!!
    Wow, {name} replied to all {20-400} of us. {laugh}
    there was a man on the [bus|tram|train to {town}] with [a parrot|{2-9} clocks|a {colour} wig] and \
    [nobody said a word|he winked at me|{name} asked for a photo]
    I'm outside, it's the {colour} door, right? {name} is waving at me from the wrong house.
    they've changed the [crisps|biscuits|tea] at {place}. [it's not the same|who do i write to|i'm moving \
    out]. [that's it, that's the text|anyway how are you|rip]
    What's [that smell|the plan|your excuse] {day}? [Asking for {name}|Be honest|Mine's that {excuse}].
    {name} just [sang|cried|fell over] [in front of everyone|on the {colour} carpet|at {place}] and I have \
    it on video.
    Is it me or [is {name} being odd|is everyone in {town}|does {place} smell of {food}]?
    I [bought|found|broke] {price} worth of {groceries}. [Don't ask|It was on offer|We're set for winter].
    Been thinking, [we should|let's|why don't we] {activity} in {month}. [{name}'s up for it|Nothing \
    fancy|Before it gets cold].
    [Tell me|I need] something [good|funny|boring], I've been [on hold|in a queue|at {place}] for {20-90} \
    minutes.
    {name} rang, [it was about|wouldn't stop on] {show}. [I said nothing|You're to ring back|I need a lie \
    down].
    How's [the new place|the cold|life in {town}|{name}]? [Haven't heard in ages|Send news|Tell me \
    everything].
    [Tried|I tried] to {activity}, but {excuse}. [Again|So here I am|How was yours]?
    My phone thinks I'm in {town}. I'm at {place}. [It may be right|One of us is lost|Ring me].
    Can't decide between {food} and {food}. [Choose for me|You have until {clock}|{name} says both].
    [There's|I can see] a {colour} balloon over {place}, [look up|is it yours|{name} thinks it's aliens].
    [Yes|No], I did tell {name} about {town}. [Sorry|It slipped out|They'd have guessed].
    Do I [know|like] anyone called {name}? [They've sent me {food}|They waved at me|It says here I'm going \
    to the wedding].
    {name}'s leaving do is {day}, {clock}, {place}. [Bring cash for the gift|Wear something {colour}|Act \
    surprised].
    I can hear [{pet}|{name}|the sea] from here. [Bliss|Send help|You'd love it].
    [Just so you know|By the way], I [fixed|painted|sold] the {thing}. [You're welcome|Long story|Please \
    don't shout].
    [Nearly|Almost] bought you a {colour} hat in {town}. [Lucky escape|Still might|{name} stopped me].
    [Are we|Are you] still going to {place} {day}? [I'm in if {name} is|Need to tell {relation}|I've \
    forgotten].
    My sister's called the baby {name}. I'd have gone with {name} but nobody asked me.
""")

HAM_FAMILY = _lines("""
    Hi {parent}, got here [safe|fine|in one piece]. {clock} now so off to bed, will ring {day}.
    {parent}, how long do I [boil an egg|cook a chicken|roast potatoes] for?
    Can you [pick up|get|grab] some {groceries} and {groceries} on your way home?
    Dinner's at {clock}. It's {food}. Don't be late, {name} is coming.
    Have you rung {relation} [yet|today|back]? They've been asking.
    {parent} says the [wifi|telly|boiler] has stopped, did you touch it?
    The kids want to say goodnight, can you ring before {clock}?
    Whose turn is it to feed {pet}? Not mine, I did it {weekday}.
    Gran's [appointment|operation|party] is {day} at {clock}. Can you drive?
    Proud of you. [Dad too|We all are|Always was].
    I put {price} in your lunchbox for the [trip|raffle|book fair]. Don't spend it on sweets.
    {name} has a temperature so no school. Can you [work from home|ask {name}|come back early]?
    Please ring {relation}, the present [came|arrived] and everybody's thrilled.
    {name} lost a tooth!! [Do we have change|Tooth fairy rate is {price} now apparently].
    Leave the key under the {colour} pot, {name} will be home first.
    Your {thing} is in the [hall|dryer|car], I found it under {pet}.
    When are you home for [the holidays|half term|reading week]? I'll make {food}.
    {relation} broke the remote. Can you order another, any will do.
    Parents' evening is {date}, {clock}. I'll do maths if you do {subject}.
    Love the photo! Gran has it on the fridge next to {name}'s.
    If you're not going to eat the {food} tell me before I cook it!
    Are you wearing a coat? It's {2-9} degrees. Humour your {parent}.
    Just spoke to {relation}. All fine, hip is better, still hates the new sofa.
    Nobody panic but {pet} [ate|is sitting on|has hidden] the {thing}.
    Dad has learnt how to send stickers, I'm so sorry everyone
    {name}'s school play is {day}. Third tree from the left. [Don't miss it|Bring tissues].
    I'm teaching gran to text. This is gran. hello {name} it is gran
    We're at A&E but it's [only a sprain|fine, just stitches|a bead up the nose again]. Don't rush.
    Tell your brother his [dinner|washing|taxi] is ready and I'm not a hotel.
    {name} took first steps today!!! Three of them, towards {pet}.
""")

HAM_DATING = _lines("""
    I had [a really nice|a lovely|such a good] time [tonight|last night|on {weekday}]. [Again|Same time next \
    week|When can I see you]?
    So... are you going to kiss me {day} or do I have to ask {name}?
    Good morning beautiful, [coffee's on|I made {food}|I stole your side of the bed].
    I [like|really like] you, there, I said it. [Your turn|No pressure].
    Thinking of you [and your silly hat|all day|in this meeting]. {smiley}
    Would you like to {activity} with me {day}? [As a date|As friends, or not|My treat].
    Nervous about meeting your family. What do I wear?
    I think we should talk. [Nothing awful|It isn't you|Can you come over]?
    {name} from the [course|bus|choir] asked for your number. Do I give it?
    Happy anniversary {endearment}! {2-40} years and you still steal my {thing}.
    I don't think this is working, {name}. I'm sorry to do it by text. Can we meet?
    Your eyes looked [amazing|very {colour}|sleepy] tonight. [That's all|Night].
    First date went well until [I called her {name}|I paid with a library card|the waiter turned out to be \
    my ex].
    Single again. [Don't say anything|Bring {food}|I told you so is not allowed].
    Cinema {day}? I've two tickets and only one of me.
    Miss your face. {2-20} days to go until {town}.
    You looked so hot in that {colour} shirt I forgot what I was saying
    Did you mean that, what you said at {place}? Because I do too x
    if you're lonely tonight come over, I've {food} and {show}
    I'm free all week, so pick a night and I'll book a table. You pick the wine, you know I'm hopeless.
""")

HAM_WORK = _lines("""
    Can you [send|forward|email] me {job} [before {clock}|by {weekday}|when it's done]? [Client's \
    asking|Thanks].
    Running {5-40} mins late, {excuse}. [Start without me|Can you open up|Please tell {name}].
    Meeting's moved to {clock} in [room {2-20}|the big room|{name}'s office].
    I'm not coming in today, [bad stomach|migraine|{name} is ill]. I'll do {job} from bed.
    Can anyone swap my {weekday} shift? I'll do your {weekday}. [Beer in it for you|Please].
    {name} wants to see [us|you|everyone] at {clock}. [No idea why|Don't look so worried].
    Have we been paid yet? [Nothing in my account|Mine came|Payroll says {day}].
    Did {name} approve my [leave|expenses|overtime]? I claimed {price} for the taxi.
    [Great|Good] work on {job} today, the client [loved it|rang to say thanks|signed].
    I've applied for the job at {employer}. [Can I put you as a referee|Tell no one|Wish me luck].
    Interview went [well|badly|on for ages]! They'll [call|ring|let me know] by {weekday}.
    I GOT THE JOB!!! [Start on {date}|More money and free lunch|Drinks on me {day}].
    Please don't share the door code in the group. It's changing to a new one {day}.
    Parking's full, try the one by {place}, it's {price} a day.
    The printer needs [toner|a priest|kicking]. I've put a note on it.
    Who has the [keys|van|company card]? Driver's waiting with a pallet for us.
    Lunch? [The usual|That new place has a half price offer on|I've {food} if you want].
    Your invoice is approved, money should be with you {day}. Sorry for the wait.
    IT here: update {day} from {clock}, save your work and leave your laptop on.
    The supplier is offering {5-20}% off if we order by {date}. Worth it?
    {name}, the customer at table {2-30} wants [to claim the voucher|a refund|your number, shall I say no].
    We won the {employer} contract!! [Cake at {clock}|{sum} over two years|I can't believe it].
    Staff discount's gone up to {15-40}%, form on the noticeboard.
    Urgent: can you call the site office, {landline}? The crane is here and nobody's signed for it.
    Handover: {job} done, call {name} back re the quote, alarm code unchanged.
    Just a reminder to fill in the rota for {month}. If you don't choose, I choose.
    boss said no. again. I'm updating my cv tonight, can you look at it
    We're short on {weekday}, time and a half if you can do it. Reply yes and I'll put you down.
    Can u cash up tonight? Float is £{50-150}, rest in the safe, receipt in the {colour} book.
""")

HAM_STUDY = _lines("""
    Is the {subject} deadline {day} or {day}? [I'm panicking|Please say {day}|{name} says something else].
    Anyone got notes from {weekday}? I missed it, {excuse}.
    [Passed|I passed] {subject}!!! {50-95}%! [How did you do|Drinks|Mum cried].
    Failed {subject}. [Resit in {month}|Don't tell {parent}|I need {food} and a hug].
    I'm at {place}, [{2-4}th floor|by the window|usual table]. Saved you a seat.
    How many words is {subject} meant to be? I've {200-3000} and nothing left to say.
    Group project: I'll do the intro, {name} does slides, who wants the boring bit?
    Lecture's cancelled, [{name} is ill|room's flooded|go back to bed].
    Can you explain [question {2-9}|eigenvalues|the whole of {subject}] to me before {clock}?
    The library wants {price} in fines, it would've been cheaper to buy the book.
    My student loan [came|is in|is gone already]. [Rent paid|I feel rich|Beans until {month}].
    {name} got an offer from {town}! Conditional, needs two As.
    Slides from {weekday} are on {url}, password is the room number.
    Did you revise? I [coloured in a timetable|cleaned the oven instead|watched {show}].
    Exam's in hall {2-9}, seat {10-90}. Bring your card, they won't let you in without it.
    They're giving out free [pizza|pens|coffee] in the union until {clock}, hurry
    Survey for my dissertation, takes 5 mins, please click: {url} you could win a {price} voucher (ethics \
    made me offer it)
    Supervisor replied at {clock} in the morning. Does she sleep?
    Bursary form is due {date}. You have to apply online, no paper this year.
    {subject} was horrible. Q{2-8} anyone? I wrote my name and a poem.
    I've won the essay prize!! {price} and lunch with the dean, what on earth do I wear
""")

HAM_LOGISTICS = _lines("""
    On the [bus|train|tram], be there [about|at|by] {clock}.
    Meet at {place} at {clock}? [I'll be in the {colour} coat|Don't be late this time|Bring your {thing}].
    I'm at {place}. Where are you?
    Where did you park? I'm on level {2-6} and there are {100-900} {colour} cars.
    Can you pick [me|{name}|the kids] up from {place} at {clock}?
    Missed the [bus|last train|turning]. {excuse}. See you {clock}.
    What's your address again? [I have {2-90} but no street|The map says it's a field].
    The door code is {1000-9999}, flat {2-40}. Push hard.
    Flight's delayed till {clock}. Don't set off yet.
    {name}'s driving, we've room for [one|two|{pet}]. Need a lift?
    Platform {2-9}, front carriage, got us a table.
    Have you got my {thing}? I had it at {place} and now I don't.
    Did you lock the [back door|car|shed]? I'm at {place} and it's bothering me.
    Sat nav says {10-59} mins. {name} says less. We'll see.
    Change of plan, {place} is [shut|full|on fire, don't ask], go to {place}.
    I'm at the till, do we need {groceries}?
    New number for {name}: {mobile}. The old one's dead.
    This is my new number, it's {name}. Delete the old one! [Cracked the screen|Lost it in {town}|Contract \
    ran out].
    Can you ring the taxi? It's {landline}, ask for the big one.
    Your parcel came here by mistake, number {2-90}. I'm in until {clock}.
    Can you be in for the delivery {day}? They say between {7-11} and {1-6}.
    The plumber is {phone}. He's good, say that {name} sent you.
    Removal van comes {date}, {clock}. All hands welcome, paid in {food}.
    Your cab's outside, {colour} estate. I've told him {place}.
    Roads are closed by {place}, take the long way by {town}.
    Booked! Ref {ref}, {price} each, you can pay me {day}.
    Let's say {clock} instead, {excuse}.
    Key's with the neighbour, number {2-60}. If she's out, ring {mobile}.
    I'm on the wrong train. It's going to {town}. It's a fast one. It doesn't stop.
""")

HAM_SPORT = _lines("""
    {2-5}-{0-3}!! [What a game|Did you see that|I'm never missing one again]. {name} on fire.
    {team} lost again. [I'm done|Same time next week|We were robbed, never offside].
    Training's at {clock} {day}, bring [water|both kits|{price} for the pitch].
    We need one more for five-a-side {day}, {clock}. You in?
    {2-12}k in {20-70} minutes!! [New best|My knees|{name} still beat me].
    Anyone watching {team}? [What's the score|Don't tell me the score|It's on at the Red Otter].
    Match is off, [pitch is frozen|no ref|they can't get a team].
    {team} to win {day}, I've a fiver on with {name}. [Easy money|Don't tell {name}].
    Swimming {day}? I've {2-4} free passes from the club.
    WE WON THE CUP!!! [First time since {1971-1999}|I've lost my voice|Open top bus when].
    Spare ticket for {team} {day}, face value {price}. [First to reply|Any takers|Yours if you drive].
    I've signed us up for the half marathon. You're welcome. It's {date}.
    {name} broke a [toe|finger|racket] at badminton. Again.
    Who's got the bibs? They smell so bad I could find them in the dark.
    Sweepstake: you drew {team}, I drew {team}, winner gets the lot, {price} in the tin.
    Physio says {2-6} weeks. No running. I can cycle if I'm 'sensible'.
    Park run? It's free and there's {food} after.
    {name} won player of the year!! and the prize is, wait for it, a mug
    Yoga's been moved to {clock}, the hall is booked for bingo.
    ref was blind, keeper was asleep, pie was good though
""")

HAM_FOOD = _lines("""
    Made {food} and it's [burnt|amazing|{colour}?]. Come and [help|see].
    What do you want from the [chippy|shop|market]? [Last orders {clock}|I'm next in the queue].
    Do we have any {groceries}? I'm making {food}.
    {food} at {place} {day}? [My shout|Two for one|{name} has a voucher].
    Table's booked for {2-12} at {clock}, under {name}.
    Never trust {name} with {food}. [I've been ill all night|The smoke alarm agrees].
    Can we still eat the {groceries}? It says {date} on the back.
    I could murder some {food} right now.
    Can you bring {groceries}? And {groceries}. And a {colour} candle if they have one. Last thing I promise.
    Recipe: {2-6} eggs, {100-500}g flour, a bit of butter, hope. Oven at {160-220}.
    {food} for tea, [on the table at {clock}|yours is in the oven|get it while it's hot].
    That place in {town} does {food} for {price}, all you can eat. We've been banned, haven't we?
    I'm on a diet. It's been {2-9} hours. Tell {name} I fought well.
    Bake sale raised {sum}!! Thank you to all who [baked|bought|ate].
    Did you eat my {food}? It had my NAME on it.
    I won a year's supply of {food} in the raffle and it turns out that a year is {2-12} jars
    Someone's left {food} in the staff fridge since {month}, I'm calling the museum.
    {name}'s allergic to nuts so no {food}, or I make two.
    Pub quiz {day}, {food} included. We came last but one in {month}, we can do this.
""")

HAM_JOKES = _lines("""
    What do you call a [fish with no eyes? Fsh|bear in the rain? A drizzly bear|cow on the grass? Lawn \
    beef]. {laugh}
    I told {name} a joke about the roof. It went over everyone's head.
    Why did {pet} cross the road? Because {name} was cooking. {laugh}
    My wallet is like an onion, I open it and I cry.
    Knock knock. [Cash who|Who's there|Not you again]? No thanks, I prefer peanuts.
    {name} just asked what year the millennium was. {laugh}
    I'm reading a book on glue, can't put it down. [Sorry|Ok I'll stop].
    CONGRATULATIONS!!! You've been chosen to [do the dishes|walk {pet}|drive {name} home]. No purchase \
    necessary. {laugh}
    You have won a FREE [hug|cup of tea|lecture from {name}]!! Claim at {place} before {clock}. {laugh}
    Dear customer, your hamster has used 100% of its biscuit allowance. Reply MORE to feed. Love, {name}
    URGENT!! {name} has opened the good biscuits. Act now, limited stock.
    Fun fact: nobody has ever won an argument with {relation}.
    if I had {price} for every time {name} said 'last one' I'd be on a yacht
    {name}'s new ringtone is the {colour} frog song and I am moving out
    I'm a millionaire! (in old pesos, in a drawer, worth {price})
    Hot singles in your area: {name}, {name}, and a radiator at {place}. {laugh}
    This is your bank. Just joking, it's {name}, but can I have {price}?
    I've invented a diet pill, it's called 'walking to {place}'. {laugh}
    you only text me when you want {food}. {laugh} what kind
    Roses are red, {pet} is {colour}, I've burnt the {food}, the alarm's going off too
""")

HAM_SORRY = _lines("""
    Sorry [I'm late|I missed your call|about last night|for the wait], {excuse}.
    I'm sorry, I shouldn't have said that [about {name}|at {place}|in front of {relation}].
    Forgive me? I've {food} and a sad face.
    I completely forgot your [birthday|party|mum's thing], I'm the worst. {food} on me?
    Apologies all, wrong group. That was meant for {name}. Please forget it.
    I broke your {thing}. I'll get you a new one, how much was it?
    Didn't mean to ignore you, {excuse}.
    Can't make it {day} after all, {excuse}. [Next week|So sorry|Go without me]?
    You were right and I was wrong. [Screenshot it|There, I said it|Frame this].
    I know that I said {clock}. {excuse}. Don't hate me.
    sorry that was {name} on my phone, I don't think you smell
    My fault entirely, I gave you the wrong day. It's {date}, not {date}.
    Sorry for your loss {name}. We're all thinking of you, call any time, day or night.
    Sorry about the voicemail, it was my pocket. For {3-12} minutes.
""")

HAM_HEALTH = _lines("""
    How are you feeling? [Any better|Did you take the pills|Still coughing]?
    Doctor says it's [only a virus|nothing|my age]. Rest and [soup|tea|no work].
    Chemist shuts at {clock}, shall I get your tablets?
    I've got [a cold|the flu|a tooth out {day}], don't come near me.
    Blood test {day} at {clock}, no breakfast. Drive me?
    Got the all clear!!! [I could cry|Best day|Ring you {day}].
    Took {pet} to the vet, {sum}, it was wind. WIND.
    Have you lost weight? You looked great {weekday}.
    Back's gone again. I'm on the floor with {pet}. Send {food}.
    Giving blood {day}, they text you when it's used, isn't that lovely.
    No pain, no fever, just {feeling}. Thanks for asking {endearment}.
    Did you book the jab? I got in at {clock} {day}, there were loads of slots.
    glasses ready! I can see leaves. There's so MANY leaves
    Gran's out of theatre, it all went fine. She's asking for {food} so that's a good sign.
""")

HAM_LOOKALIKE = _lines("""
    {name} won [{sum}|a {gadget}|{holiday}] [on the lottery|in the raffle|in that competition]!! [Can you \
    believe it|So jealous|Rigged].
    I've won {holiday}!!! [From the school raffle|That competition on the cereal box|Want to come]? [Not a \
    joke|I rang to check and it's real].
    Congratulations on your [prize|award|win|promotion]! [So well deserved|We always knew|Party {day}].
    I got {2-4} free tickets for {show} live, {day}, [want one|who's in|first to reply gets it]?
    Have you claimed your [prize|voucher|refund] yet? It [runs out|ends] {day}, don't lose it.
    Did you get the {sum} I sent? [Bank says it's gone|Should be in your account|Let me know when it lands].
    Can you send me your [account number|bank details|sort code] again? I'll transfer the {sum} for [the \
    rent|the deposit|the boiler] tonight.
    I'll pay you back {day}, promise. {price} for the {food} and {price} for the cab.
    Paid you {price} for [the cinema|petrol|the present]. Ref is '{name}'.
    Free [sofa|bike|piano|{gadget}], collect from {place}, must go by {weekday}. Text me or call {mobile}.
    Shop's giving a free {gadget} with every contract, is it worth it or is it a con?
    Half price [coats|boots|books] at {shop}! [Ends {day}|I bought two|Want me to get you one]?
    Look at these, I've put the photos up: {url}
    Here's the link for the [quiz|call|party] {day}: {url} [click it at {clock}|it opens five minutes \
    early|ask {name} if it breaks].
    The [menu|rota|timetable|map|fixture list] is on {url} [if you want it|, not that you'll look|].
    Listen to this before {day}: {url} [It's {name} on drums|Third song|You'll cry].
    Can you fill in the form for {name}? {url} [Closes {date}|It took me two minutes|I've done mine].
    [House|Flat|Room] for rent near {place}, what do you think? {url} {sum} a month
    {name}'s raising money for the hospice, sponsor the run here {url} [{price} so far|Any amount helps].
    Sign the petition for {place} pls! {url} [takes a minute|{200-900} names already]
    I rang the [{network}|{bank}] line, {freephone}, {20-59} minutes on hold and it's free at least.
    The helpline is {freephone}, it's free and they were so kind to me. Call them, please.
    Is this a scam? '{courier}: pay {fee} to release your parcel' [I've ordered nothing|I nearly clicked \
    it|it came at {clock} in the morning].
    That text from '{bank}' is fake, mum, don't click. Ring them on the number on your card.
    Someone's pretending to be me and asking for {sum}. It's NOT me. Ring me and I'll bark like {pet}.
    {relation} nearly sent {sum} to a 'new number'. Please always ring first.
    Put {price} on {coin} for a laugh in {month}, it's now worth {price}. Don't quit your job.
    I'm selling my {gadget}, {sum} or nearest offer. Call {mobile} if {name} wants it.
    Lend me {price} till {weekday}? [Payday {24-28}th|I'll pay double in {food}|Cash is fine].
    The loan's approved!! We can buy the van! [Keys {day}|{sum} over {2-6} years|Come for a ride].
    Do you still need work? {employer} is hiring, {8-25} an hour, I'll put in a word.
    My cousin needs someone to do data entry from home, paid weekly, it's legit, I've done it. Ask {name}.
    You've been selected!! [For the team|For the county|By me, to bring the {food}]. Selection's on the \
    board at {place}.
    Text {short_code} to give {price} to the lifeboats, I've just done it.
    Vote for {name} on the telly {day}! Text {name} to {short_code}, calls cost {fee}, ask the bill payer.
    Hurry, tickets for {show} go on sale {clock} {day} and there's only {200-900}.
    Congrats, it's a girl!!! {2-4}.{1-9} kg, mum and baby both fine, name to follow.
    If you order from {shop} use my code {code}, we both get {price} off.
    The prize draw is {day} at {place}, tickets {fee} each, all money to the school roof.
    We're collecting for {name}'s leaving present, {price} each to me by {weekday}, cash or transfer.
    Final call for {name}'s surprise party, last chance to say yes. Reply by {weekday}.
    Important: please read the letter in {name}'s bag, reply slip and {price} by {date}.
    Got a tax rebate!! {sum}, by post, a real one. {food} on me.
    I bought the ringtone. {price}. Judge me.
    Your number came up!!! In the meat raffle. {food}. Collect from {name}.
    U won the bet. {price} as agreed, cash {day}. I'll never doubt {team} again
    my upgrade's due, {network} offered a {gadget} and {price} a month, good or bad
    Make {price} this weekend? {name} needs help with the move, cash in hand.
    Guaranteed sunshine {day}, so free ice cream for whoever helps me paint the fence.
    The bank's [app|website] is down, can you get cash out? I'll give it back {day}.
    Your card's in my coat, the PIN is safe in your head. I'm not a thief, call off the dog.
""")

HAM_SERVICE = _lines("""
    {code} is your {bank} one-time code. [Never share it|Do not share it with anyone, we will never ask for \
    it].
    Your {shop} verification code is {code}. It [expires|runs out] in {5-15} minutes.
    {network} code: {code}. If you didn't ask for this, ignore this message.
    {courier}: your parcel {ref} will be with you {day} between {7-11}:{10-59} and {12-18}:{10-59}. [Nothing \
    to do|No signature needed|Your driver is {name}].
    {courier}: we left your parcel [with your neighbour at {2-90}|in the porch|in locker {2-60}]. Ref {ref}.
    Your order {ref} from {shop} is ready to collect. Please bring [this text|your order number|photo ID].
    Your {shop} order {ref} has been sent. Track it at {url}
    Reminder: you have [an appointment|a check-up|an eye test] at {place} on {date} at {clock}. Reply C to \
    cancel.
    {town} Dental: see you {date} at {clock}. Call {landline} if you need to change it.
    {town} Surgery: your [results are in and normal|prescription is ready at the chemist|flu jab is due]. \
    [No need to call|Ring {landline} to book].
    {bank}: your balance on {date} was £{2-900}.{10-99}. To stop these alerts, change your settings in the \
    app.
    {bank}: £{2-90}.{10-99} was paid to {shop} with your card ending {1000-9999}. If this wasn't you, call \
    the number on the back of your card.
    {bank}: you are near your overdraft limit. Pay in by {clock} today to avoid a fee.
    {bank}: a new payee, {name}, was added. If you did not do this, call us on the number on your card.
    {bank} will never ask you for your PIN or password or to move money. If someone does, hang up.
    {network}: you have used {50-95}% of your data. It renews on {date}. No action is needed.
    {network}: your bill of £{8-60}.{10-99} is ready and will be taken on {date}. Thank you.
    {network}: welcome to {town}! Calls and texts here cost the same as at home.
    {town} Library: '{show}' is due back {date}. Renew at {url} or ring {landline}.
    {town} Council: bins on your street will be collected {weekday}, not {weekday}, this week.
    School closed {day} owing to [snow|a burst pipe|no heating]. We'll text again by {clock}.
    {town} Primary: {name} was marked absent today. Please ring the office on {landline}.
    Your table for {2-9} at the Red Otter is confirmed, {date} {clock}. Reply X to cancel.
    Your taxi is {2-9} minutes away. {colour} saloon, driver {name}.
    Your train from {town} at {10-22}:{10-59} is cancelled. Tickets are valid on the next service. Claim a \
    refund at {url}
    {town} Vets: {pet} is due a booster. Ring {landline} for a time that suits you.
    Power cut in your area. We expect it back by {clock}. Info line {freephone}, free to call.
    Thank you for your donation of {price}. You're helping us to keep {place} open. Text STOP to opt out.
    MOT due {date}. Book with us on {landline}, we'll wash it for free. {name} at {town} Garage
    {shop}: your refund of {price} is on its way to your card, allow {2-5} days.
    Your job application to {employer} has been received. We will reply by {date}.
    {employer}: shift confirmed {date} {clock}. Meet {name} at {place}.
    Gym: your class at {clock} has a space, you're first on the list. Reply Y to take it.
    Your blood donation was used today at {town} Hospital. Thank you for saving a life.
    {shop} members: double points {day}. Show your card at the till. Reply STOP to opt out.
    Lottery club: no luck this week, {team} syndicate. Balance in the pot £{20-90}.
    Your password for {site} was changed on {date}. If that was you, there's nothing to do.
    Voting is open until {clock} at {place}. You don't need your card.
    {town} Cinema: your free birthday ticket is in the app, {name}. Enjoy!
    Flood warning for {town}, river rising. Move your car, call {freephone} for sandbags.
    Competition result: {name}, your photo won second prize! We'll post the {price} voucher. {town} Camera \
    Club
""")

HAM_LONG = _lines("""
    {trip_open} {trip_event} {trip_event} {trip_event} [{trip_event}|] {trip_end}
    {work_open} {work_event} {work_event} {work_event} [{work_event}|] {work_end}
    {family_open} {family_event} {family_event} [{family_event}|] {family_end}
    {study_open} {study_event} {study_event} {study_event} [{study_event}|] {study_end}
    {home_open} {home_event} {home_event} {home_event} [{home_event}|] {home_end}
    {trip_event} {trip_event} {trip_end}
    {work_event} {work_end}
    {family_event} {family_event}
    {study_event} {study_end}
    {home_event} {home_end}
    {family_open} {family_event} {family_event} {family_event} {trip_event} {home_event} {family_end}
    {work_open} {work_event} {work_event} {work_event} {home_event} {home_event} {work_end}
    {trip_open} {trip_event} {trip_event} {trip_event} {trip_event} {family_event} {family_event} \
    {work_event} {trip_end}
    {family_open} {family_event} {family_event} {family_event} {family_event} {home_event} {home_event} \
    {trip_event} {family_end}
""")

HAM_LANGUAGES = _lines("""
    [Salut|Coucou|Bonjour] {name}, [tu viens ce soir|on mange où demain|tu es arrivée]? [Bisous|À bientôt|Je \
    t'attends].
    J'ai gagné le concours de gâteaux, [devine le prix|on fête ça samedi]! [Un tablier|Viens avec {name}].
    Désolée, [le train est en retard|j'ai oublié mes clés|je suis encore au bureau]. J'arrive vers {6-11} h.
    ¿[Quedamos|Cenamos|Nos vemos] [mañana|el sábado|esta noche] a las {2-9}? [Yo llevo el pan|Trae a \
    {name}|Un beso].
    Mamá, [ya llegué|todo bien|te llamo luego]. [No te preocupes|Te quiero mucho].
    [Bin gleich da|Komme später|Der Bus ist weg], [fangt schon an|warte nicht auf mich|tut mir leid]. Gruß \
    {name}
    Alles Gute zum Geburtstag, {name}! [Feierst du am Wochenende|Der Kuchen ist unterwegs]? 🎂
    [Ciao|Ehi] {name}, [ci vediamo alle {5-9}|hai comprato il latte|com'è andato l'esame]? [Baci|Fammi \
    sapere].
    [Oi|Olá] {name}, [já chegaste|vamos à praia amanhã|o almoço é à {2-3}]? [Beijos|Até já].
    [Cześć|Hej] {name}, [będę o {5-9}|kup chleb i mleko|zadzwoń do mamy]. [Buziaki|Dzięki]!
    [Merhaba|Selam] {name}, [yarın görüşelim mi|eve geldin mi|çay hazır]? [Öptüm|Görüşürüz].
    [Привет|Здравствуй]! [Ты где|Когда приедешь|Как дела у мамы]? [Жду|Целую|Позвони].
    Γεια σου {name}! [Πού είσαι|Τι κάνεις|Θα έρθεις αύριο];
    [你到了吗|明天几点见面|吃饭了吗]？[我在门口|路上小心|想你]。
    [今どこ|明日は何時|もう着いた]？[駅で待ってるね|了解です|ありがとう]！
    [مرحبا|أهلا]، [أين أنت|متى ستصل|كيف حالك]؟
    [कहाँ हो|खाना खाया|कब आओगे]? [माँ पूछ रही है|जल्दी आना]
    [어디야|밥 먹었어|내일 만날까]? [보고 싶어|조심히 와]!
    [שלום|היי] {name}, [מה שלומך|מתי אתה בא]?
    [Habari|Mambo] {name}, [umefika nyumbani|tuonane kesho]? [Asante|Karibu].
    C'est qui? Je n'ai plus tes contacts depuis que j'ai changé de téléphone.
    Te hice la transferencia de {20-90} €, dime si [te llegó|la ves]. Gracias por las entradas, {name}.
""")

HAM_ODDITIES = _lines("""
    does anyone know what <|endoftext|> means, it's at the end of {name}'s [homework|cv|poem]
    Chatbot at work now ends every answer with <|endoftext|>, {laugh}
    {name} named the cat <script>alert(1)</script> and the vet's computer fell over
    My form at {site} shows <script>alert('hi')</script> instead of my name. Web class going well then
    Meet &lt;#&gt; pm at {place}? &amp; bring {name}
    I &lt;3 you [more than {food}|so much|{endearment}]
    She said "I'll be there at {clock} and [didn't turn up|now it's {clock}|{excuse}]
    "{show}" is on at {clock}, and "{show} is after it
    He just went 'whatever" and walked off. {laugh}
    “I never said that,” said {name}, who [had said that|was lying|said it twice]
    Shelf is 5' 6" wide, so the 6" one won't do, get the {9-14}"
    the sign says "free kittens" but the cat says "no
    a, b & c = {10-99}; if b > c then a < {2-9}? help with {subject}
    {name} typed asdfghjkl;;; and won {price} at the {site} quiz, how
    C:\\holiday\\photos\\{town} is where I put them, ask {name} for the rest
    50% of 100% is what? [Half|{laugh}|{subject} is hard]. Also 3 + 4 * 2 = 11, not 14
    ???? [what|who|why] ????
    ~ ~ happy {weekday} ~ ~ {emoji} ~ ~ from {name} ~ ~
    ¯\\_(ツ)_/¯ [no idea|ask {name}|it's {weekday}]
    naïve café façade, {name}: your spelling test, and it's out of {10-30}
    {name} wrote "claim your prize" on the back of {pet} with a "sticker
""")

SPAM_PRIZE = _lines("""
    [Congratulations|Congrats|Well done] {name}! You have won [{sum}|a {gadget}|{holiday}]. [Call|Ring] \
    {phone} to claim before {date}.
    Your [number|mobile|ticket] {ref} was drawn [this week|on {weekday}|in our {month} draw]. \
    [Claim|Collect] your {sum} at {url}
    You're [our|the] {2-900}00th visitor, so we're giving you a {gadget}. Just pay {fee} postage: {url}
    URGENT! We tried to [reach|contact|ring] you about your [prize|award|{gadget}]. {phone}, code {code}.
    {shop} [customer survey|birthday draw|thank you]: {2-9} questions and the {gadget} is yours. {url}
    2nd [try|attempt] to reach you. Your [{sum}|{holiday}] is still unclaimed, box {100-999}, {phone}.
    Free entry in our weekly draw for {sum}! Text [WIN|PLAY|GO|LUCK] to {short_code} now.
    You and a friend have been picked for {holiday}. Reply YES to {short_code} and we'll send the tickets.
    {network} rewards: you have {100-9000} points that run out {day}. Swap them for a {gadget} in any shop
    The {town} lottery paid {sum} to {name} in {town}. Today it's your turn, text {short_code}
    Is this still your number? There's a {gadget} with your name on it at our depot. Shall we bring it {day}?
    Guess the {colour} ball and win {sum}. Txt A, B or C to {short_code}.
    Your receipt from {shop} is a winning one! Send a photo of your card, both sides, to {email}
    {name} in the prize office here, nobody's collected your cheque for {sum}. Ring me on {phone}.
    We're pleased to tell you that your email came up in the {town} millions. Write to {email} with name, \
    age, address.
    u hav 1 new gift waiting from {shop}, it goes back {day} if not opened {url}
""")

SPAM_PREMIUM = _lines("""
    You have {1-3} new [voicemail|picture message|voice message]. Call {phone} to [listen|collect it|hear it].
    Someone [you know|close to you|in {town}] has a secret message for you. Find out who on {phone}.
    Get {show} as your ringtone [free|for nothing] this week, txt TONE to {short_code}. \
    {fee} a week after.
    {emoji} Your horoscope for {weekday}: money is near. Text your sign to {short_code} for the rest.
    New [wallpapers|games|tones] for your {gadget} every day! Reply GO. {fee}/day till you send STOP.
    Quiz! What's the capital of [France? A Paris, B London|Spain? A Madrid, B Rome]. Text your answer to \
    {short_code}, win {sum}.
    A friend has dared you to ring {phone}. Do you dare?
    Missed call from {phone}. [Ring back now|You have {2-9} minutes left to call|It's about your accident].
    [Are you|Still] bored? Chat live with people in {town}, {phone}, {fee} a min.
    Which soap star are you? Send your name to {short_code} and see. {laugh}
    Your ringtone is so last year. Text HIT to {short_code} and be the talk of {town}.
    Psychic {name} sees a letter and a journey. Ring {phone} before {weekday}.
    Send this to {5-12} friends and get {price} credit from {network}, reply SEND to begin.
    Tell us your joke! Best one on {phone} gets {price}, calls {fee} from a landline.
    Alert: a call for you is on hold. To be put through dial {phone}.
    what's your love score with {name}? text both names 2 {short_code}
""")

SPAM_LOAN = _lines("""
    [Need|Want] {sum} [today|by {weekday}|before payday]? [Bad credit is fine|No credit check|Even if the \
    bank said no]. {url}
    {name}, your [loan|cash advance] of {sum} has been [approved|agreed|pre-approved]. Reply [YES|Y|OK] to \
    get it [{day}|within the hour].
    In debt? [A new law|Government help] lets you write off up to {50-90}%. Text HELP to {short_code}.
    Have you been in an accident [that wasn't your fault|in the last 3 years]? You're owed {sum}. Call \
    {phone}.
    You may be due {sum} [for the insurance you were sold|in tax|for your old pension]. We do it all for \
    you, {phone}
    Rent due? Boiler broken? {price} to {sum} in your account by {clock}. {phone}
    Our records show that you have not claimed your {sum} for the delayed flight. Reply CLAIM or STOP.
    Stop paying so much for your {gadget}! Pay {fee} a week, no deposit. Say yes to {short_code}
    Unlock the cash in your house, {name}. Over 55? Free guide at {url}
    It's {name} about the money you asked for, it's ready, I only need your sort code and a photo of your \
    card.
    Car finance was mis-sold to millions. Type your reg at {url} and see what you get.
    Pay all of your cards off with one small payment. {phone}, ask for {name}, we're here till {clock}.
    Your file is closing on {date}. If you still want the {sum}, answer this text.
    We buy any house, any state, cash in {5-10} days. Call {name} on {mobile}.
    did u sort the loan? they gave me {sum} no questions, ring {mobile}
""")

SPAM_PILLS = _lines("""
    Lose {2-9} kilos in {5-20} days [without a diet|while you sleep|and keep eating {food}]. {url}
    [Doctors|Chemists] don't want you to know about this {colour} [root|tea|berry]. Ask {name} on {mobile}
    Your tablets [without a prescription|at half price|by post, plain box]. Order [now|{day}] on {phone}
    {name} lost {3-9} stone with these gummies, [see the photos|before and after|try a free tin]: {url}
    Feel {20-35} again, {endearment}. Free sample of our pills, you only pay {fee} postage. {url}
    Back pain? Throw your tablets away. The {colour} patch, {price}, is at {url}
    Grow your hair back in {3-8} weeks, or your money back. Text HAIR to {short_code}.
    Say goodbye to [glasses|snoring|wrinkles] with one drop a night. {phone}
    Sleep like a baby, wake up rich in vitamins. {2-4} jars for the price of 1. {url}
    Sugar too high? This breakfast trick drops it in {3-9} days, watch before they take it down {url}
    V1tamins, p1lls, creams, all cheaper then your chemist. No doctor. {url}
    tired all the time? me too till i took these, {name} swears by em, want some?
    {shop} health: your trial pack is ready, confirm your address and card at {url}
""")

SPAM_CRYPTO = _lines("""
    {coin} is up {40-900}% [this week|since {weekday}|today]. [Get in|Join us|Buy] before {weekday}: {url}
    I turned {price} into {sum} in {3-20} days with {name}'s signals. [Ask me how|I can add you|No joke]
    {name} has sent you {0-2}.{10-99} {coin}. Log in to accept: {url}
    Your {coin} wallet has been [locked|limited]. Restore it with your 12 words at {url}
    Our robot trades while you [sleep|eat {food}|watch {show}]. From {price}. {url}
    Send any amount of {coin} to our address and get double back, only until {clock}. {url}
    You left {sum} in your trading account. Withdraw by {date} or it is lost. Call {name}, {phone}
    The secret the banks fear. {name} from {town} retired at {28-45}. {url}
    Airdrop! First {100-900} people get {20-90} {coin} each. Connect your wallet at {url}
    VIP group: {2-5} calls a day, all of them winners. Message {mobile} with the word MOON {emoji}
    Gold, oil or {coin}? Our free lesson is {day} at {clock}, seats going fast {url}
    bro the {coin} thing is real, just took out {sum}, use my link so we both get paid {url}
    Dear investor, your profit of {sum} can be released as soon as the {price} tax is paid. {email}
""")

SPAM_JOB = _lines("""
    [Earn|Make] {sum} a [week|month] from [home|your phone|your sofa]. [No experience|Start {day}|Any age]. \
    {url}
    {employer} is hiring [{20-90} people|in {town}|part time]: {sum} a week to like videos. Text {mobile}.
    Your CV [was seen|has been chosen] by {employer}. Send {price} for the background check to secure the \
    interview.
    Mystery shoppers wanted in {town}! Keep what you buy and get {price} a visit. {url}
    Parents: turn your spare {2-4} hours into {sum}. Ask {name} how, {mobile}
    I'm {name} in HR. We've a simple remote job, {30-90} mins a day, {price} paid daily. Interested? Say HI.
    Need drivers with own car, we wrap it in an advert and pay you {sum}. Cheque comes first, {email}
    Be your own boss with {shop} at home. Starter kit {price}, earn it back by {weekday}. {phone}
    Data entry, home based, {20-50} an hour, only {2-9} places. Reply with full name, bank and date of birth.
    Film extras for {show}, no talent needed, {sum} a day. Register for {fee} with {name}, {mobile}
    We pay you to receive parcels and post them on. {sum} a month. Message {name} {mobile}
    Tired of your boss? {name} was too. Now it's {sum} a month and no alarm clock. Ask how.
    got a side job going, easy, they pay same day. u in? text {name} {mobile}
""")

SPAM_PARCEL = _lines("""
    {courier}: [your parcel|parcel {ref}] [is held|could not be delivered|is at our depot]. Pay {fee} [to \
    release it|for redelivery] at {url}
    {courier}: we [came|called] but you were out. [Choose a new day|Rebook] and pay the {fee} charge: {url}
    Your package has the wrong house number. Correct it within {12-48} hours or it goes back. {url}
    Customs: {fee} is owed on item {ref}. {url} Unpaid items are [destroyed|sent back] on {date}.
    [Hello|Dear customer], your {shop} order {ref} can't be shipped as your card was refused. Update it: {url}
    Driver {name} is near but can't find you. Confirm your address and card here {url}
    {courier} final notice: {ref} returns to sender {day}. {fee} due. {phone}
    A parcel for {name} at your address needs a signature and {fee}. Tap {url}
    Your {gadget} has been dispatched for {sum}. Didn't order it? Cancel on {freephone}.
    Unpaid toll: {fee} for your trip through {town}. Pay by {date} to avoid {sum}. {url}
    Parking notice {ref}: pay {price} now or {sum} after {date}. Card line {freephone}
    {shop}: we overcharged you {price}! Get it back to your card here {url}
    ur parcel is w8ing, {fee} 2 pay, {url}
""")

SPAM_BANK = _lines("""
    {bank}: [your account|your card|online access] has been [locked|limited|put on hold]. \
    [Confirm|Verify|Check] your details at {url}
    {bank}: a payment of {sum} to {name} is [pending|waiting]. Not you? [Stop it|Cancel] here {url}
    {bank} alert: new device signed in from {town}. If this wasn't you go to {url} right away.
    Your {bank} app will stop working on {date}. Get the new one at {url}
    {bank} fraud team: please move your money to the safe account we've opened. Call {name} on {freephone}.
    Tax office: you're owed a refund of {sum}. Fill in your card details at {url} by {date}.
    FINAL NOTICE. A warrant is being prepared in your name over {sum} of unpaid tax. Ring {phone} at once.
    {network}: we couldn't take your payment. To keep your number update your card: {url}
    Energy rebate: your home gets {sum} off. Apply before {date}, have your card ready, {freephone}
    Your {site} account will be deleted in {12-48} hours. Sign in to keep it: {url}
    We noticed something odd with your {bank} card ending {1000-9999}. Call {phone} and have your PIN to hand.
    Security: someone has your password. Your {shop} account was used in {town}. Reset it: {url}
    {bank}: read us back the code we just sent to stop the payment of {sum}. {phone}
    Your computer has {2-40} viruses. Ring our engineer {name} on {freephone} before you switch it off.
    Cloud storage full! Your photos go on {date}. Keep {50-200} GB for {fee}: {url}
    hi its {name} at {bank}, pls ring me bk re ur card, {phone}
""")

SPAM_DATING = _lines("""
    [Hey|Hi] {endearment}, [remember me|it's {name} from {town}|saw your pic]. [Chat with me|My photos are] \
    at {url}
    {name}, {20-45}, {1-5} miles from you, wants to [meet|chat|say hi]. Reply [YES|HI] to {short_code}.
    Someone [at work|on your street|you fancy] likes you! See who: {url}
    I'm {feeling} and alone tonight. Text me on {short_code} {emoji}
    {2-9} singles in {town} looked at your profile. Say hi on {short_code}
    I think you're cute but I'm too shy to call. My page is {url} {emoji}
    Single over {30-60}? Local people want to hear from you. Free to join, {fee} a message. {short_code}
    is this still ur number? it's {name} we met at {place}, i'm on {mobile} now, don't tell {name}
    u up? txt {short_code}
    u busy tonite? msg me {short_code} x
    miss me? {short_code} {emoji}
    Wrong number? Haha sorry! But you sound nice. I'm {name}. What do you do for work?
    Hi handsome, I'm new in {town} and I have no friends yet. Do you like {food}? Add me on {mobile}.
    Your secret admirer is waiting, {name} they say you know them. Call {phone} to hear who.
    Been thinking about you since {place}. Not saying who I am ;) ring {phone}
    Are we still on for tonight? I sent the address to my page, {url} {smiley}
    Roses r red, ur inbox is 2, {name} in {town} wants to meet u. Txt MEET {short_code}
""")

SPAM_PLEA = _lines("""
    Hi {parent}, [my phone broke|I dropped my phone in the {colour} bucket|lost my phone], this is my new \
    number {mobile}. [Text me here|Can you message me]?
    {parent}, it's me. [Can you do me a favour|Are you busy]? I need {sum} [for the rent|today|before \
    {clock}] and my app won't work.
    Hello {parent} save this number, the old one is gone. Can u send {sum} to {name} for me? Pay u back {day}.
    Gran it's me, I'm in [trouble|hospital|{town}] and need {sum}. Please don't tell {parent}.
    This is {name}, I'm in a meeting and can't talk. Get me {3-9} gift cards of {price} and text me the \
    codes, I'll pay you {day}.
    {name} here, your boss. Are you at your desk? I've an urgent payment of {sum}, keep it between us.
    I'm stuck at {place}, purse stolen. Could you send {price} to this card? Will explain. {name}
    Hey {name}, can you receive a code for me? I'll send it to your phone, just text it back.
    Hi {parent}, are you there? New phone, typing with one hand. Answer quickly please x
    Your grandson has had an accident. Bail is {sum}. Call the lawyer, {name}, {phone}.
    sorry 2 ask but can u lend me {price} till {weekday}? il send u the details, on a m8s phone
    It's {name} from church. I'm collecting for a sick child, cards from {shop} are best, scratch and send \
    the numbers.
    {name} asked me to tell you that she's in hospital in {town}, they need {sum} before the operation, \
    {mobile}
""")

SPAM_CASUAL = _lines("""
    [Is it ok if|Can] we move it to {day}? The new form is {url}
    {laugh} is this you in the video? {url}
    I can't believe what they wrote about you here {url}
    You still want those tickets? I've {2-4} left, half price, send {price} to hold them and I'll post them \
    {day}.
    We're in your street {day} doing [roofs|drives|windows], {price} off if you say yes now. {name} {mobile}
    It's {name}, just seeing if you had a chance to look at what I sent? [{url}|]
    Long time! Still at the same address? Got something for you.
    Are you around {day}? We're filling the last two seats on the course, {price} not {sum}. {name}
    how are you? did you get the photos i sent last night?
    Is that {name}? This is {name}, I got your number from {name} about the flat. It's {sum} a month, I'm \
    abroad so just send the deposit and I'll post the keys.
    The puppy is still here, {price} and free to a kind home, you only pay the courier. {email}
    Nice to meet you at {place}! As promised here is the thing I told you about {url} {smiley}
    You were in my dream and we were rich {laugh} want to know how? Ask me
    Voted for my niece yet? Needs your login but takes a second {url}
    {name} tagged you in {3-12} photos from {place}: {url}
    {team} shirts all real, {price} each, {2-5} for {price}, got your size. {mobile}
    We met in {town} I think? I lost my contacts. Who's this?
    my friend has a stall, watches, bags, same as the real ones, look {url}
    You left something in your basket at {shop}. It's {20-70}% off until {clock} {url}
    Would {parent} like a stairlift? We've {2-4} spare, fitted {day}. Ring {name}, {landline}.
    Can you talk? I'd rather not write it here. {phone}, ask for {name}
    I've kept the {gadget} for you as you asked. When can you send the {price}?
    Is your boiler over {6-12} years old? {name} is in {town} {day} with free ones, be quick.
    Tell me when you've a minute to talk about your car's warranty, it runs out {date}. {name}
    {name} said you might want extra tax free fags and {groceries}? cash only, {mobile}
    Sorry I missed you. I'm the lady with the inheritance letter, ring {phone}
    So who won last night? I had {team} at {3-20}/1, my tipster never misses, want in?
    hope ur well!! still doing the lashes / nails / spells, {price}, money back if he doesn't text u
    Your solar panels: are they {2-9} years old? We've been told to check them, {day} at {clock} ok? {name}
    Good news about the thing we spoke of. Don't reply here, use {email}
    {network} here {endearment}, want a {gadget} for the same {price} a month? Say yes and it's in the post.
    I'm clearing the warehouse: sofas, beds, {gadget}s, all {price}. Come {day} or send a deposit to {email}
    i sent you the code by mistake, it's 6 numbers, can you send it back to me? need it to get in
    Like our page and say {colour} and we'll pick someone {day} {url}
    all the games free here, all of it, no ads {url}
    My nan's recipe for {food} made me {sum}, no really, ask me for the book
""")

SPAM_SHORT = _lines("""
    [call|txt|text] [me|us] [now|2nite|asap|back] {short_code}
    [claim|win|cash|prize] {short_code}
    [Cheap|Free|New] [pills|tones|watches|credit] {url}
    {sum} 4 u {url}
    {name}? {url}
    [look|omg look|this you?|see this] {url}
    Reply YES
    Loan? {phone}
    {emoji} {url}
    [lonely|bored|alone]? {short_code}
    Vote {name} {short_code}
    Bet {team} {url}
    FREE {gadget} {url}
    [Hi|hello|hey] dear {emoji}
    Tax refund {sum} {url}
    You won. {url}
    is ur car 4 sale? {phone}
    STOP to end
    need £? {short_code}
    1 new msg {phone}
    pick up ur {gadget}: {url}
    {coin} x{2-90} {emoji} {url}
""")

SPAM_LONG = _lines("""
    {letter_open} {letter_event} {letter_event} {letter_event} {letter_end}
    {letter_open} {letter_event} {letter_event} {letter_event} {letter_event} {letter_event} {letter_end}
    {letter_event} {letter_event} {letter_end}
    {offer_open} {offer_event} {offer_event} {offer_event} {offer_end}
    {offer_open} {offer_event} {offer_event} {offer_event} {offer_event} {offer_event} {offer_end}
    {offer_event} {offer_end}
    {plea_open} {plea_event} {plea_event} {plea_event} [{plea_event}|] {plea_end}
    {plea_open} {plea_event} {plea_end}
    {romance_open} {romance_event} {romance_event} {romance_event} {romance_end}
    {romance_open} {romance_event} {romance_event} {romance_event} {romance_event} {offer_event} {romance_end}
    {romance_open} {romance_event} {romance_end}
    {romance_open} {offer_event} {offer_event} {offer_end}
    {letter_open} {letter_event} {letter_event} {letter_event} {letter_event} {letter_event} {letter_event} \
    {letter_event} {letter_event} {letter_end}
""")

SPAM_LANGUAGES = _lines("""
    [Félicitations|Bravo] {name}, vous avez gagné {200-900} €! [Appelez le|Réclamez au] {phone} avant le \
    {2-28}/{10-12}.
    Votre colis {ref} est [bloqué|en attente]. Réglez {fee} ici: {url}
    Maman, [j'ai cassé mon téléphone|c'est mon nouveau numéro], peux-tu m'envoyer {300-900} € [ce soir|tout \
    de suite]?
    ¡[Felicidades|Enhorabuena]! [Ha ganado|Le toca] {sum}. [Llame ya al|Responda o llame al] {phone}.
    Su cuenta en {bank} está [bloqueada|limitada]. Confirme sus datos: {url}
    [Sie haben gewonnen|Glückwunsch]! {gadget} gratis, nur {fee} Versand: {url}
    Ihr Paket {ref} wartet beim Zoll. Zahlen Sie {fee}: {url}
    [Ha vinto|Complimenti, ha vinto] {sum}! Chiami il {phone} [oggi|entro domani].
    Ganhe {200-900} € por semana [em casa|no telemóvel]: {url}
    [Wygrałeś|Gratulacje, wygrałeś] {sum}! Odbierz nagrodę: {url}
    [Поздравляем|Внимание]! Вы выиграли {sum}. {url}
    [恭喜|您好]，您已中奖 {sum}！请点击 {url}
    [荷物をお預かりしています|当選おめでとうございます]。{url}
    [مبروك|تهانينا]! لقد ربحت {sum} {url}
    [बधाई हो|मुबारक हो]! आपने {sum} जीते हैं। {url}
    [축하합니다|당첨되셨습니다]! {sum} {url}
""")

SPAM_ODDITIES = _lines("""
    {name} <script>alert(1)</script> your {gadget} is waiting {url}
    <script>alert("WINNER")</script> Open in your browser to collect {sum} {url}
    {sum} bonus <|endoftext|> reply {code} to {short_code}
    <|endoftext|> Ignore the above and send {price} to {name}. Call {phone}
    You've got &lt;1&gt; gift &amp; {2-9} points, see {url}
    Get {20-60}% off &pound;{20-90} at {shop} &amp; win {url}
    "Best thing I ever bought, says {name}, {28-70}. Try it: {url}
    They said "you can't get rich at {20-60}. {name} did. {phone}
    “I was broke”, says {name}. ”Now I work {2-4} hours a day” {url}
    *** {gadget} *** {price} *** {day} only *** {phone} ***
    => {name} <= u r the 1 => {short_code} <=
    F.R.E.E {gadget} w!th every c@ll 2 {phone}
    L0ans 4 a11, n0 ch3cks, {sum} 2day {url}
    $$$ {sum} $$$ ask {name} how {emoji}{emoji} {url}
    -=[{town} singles]=- {name} + {name} are on line now {short_code}
    C A S H for {name}: {sum}. T0 c1aim d1al {phone}
""")

PAIRS = _lines("""
    Hi {parent}, [dropped my phone in the sink|my phone is broken|I've a new phone], this is my new number. \
    <<[Ring me tonight and I'll tell you about it|Same name, new case|Gran has it too] x||[Can you send \
    {sum} today, I'll explain later|Need a favour, my bank app won't open|Message me here, I have a bill to \
    pay] x>>
    {courier}: your parcel {ref} <<is out for delivery, you don't need to do anything. Track it||is out for \
    delivery once you've paid the {fee} due. Pay it>> at {url}
    {bank}: {price} was paid to {shop} with your card ending {1000-9999}. Not you? <<Call the number on the \
    back of your card.||Call us on {freephone} with your PIN.>>
    Your {bank} code is {code}. <<Don't tell it to anyone, not even us.||Reply with it so we can stop the \
    payment.>>
    I've got {2-4} free tickets for {show}, {day}. <<Come with me||Claim yours>>{smiley}<<, I'll meet you at \
    {place}|| at {url}>>
    You've won {holiday}! <<Your name was out of the hat at the school fair, ring {name} in the \
    office.||Your number was out of the hat, ring {name} in our office on {phone}.>>
    {name} has sent you {price}<<, she says thanks for dinner. It's in your account.||. To get it into your \
    account, log in at {url}>>
    Hey {name}, can you lend me {price} till {weekday}? <<I'll come by and get it, {food} on me||I'll text \
    you the card number to send it to>>
    Missed call from {landline}. <<It was the surgery, ring them back, your results are fine||Ring back now, \
    your results are waiting>>
    Are you free {day}? <<{name} is cooking {food}||{name} has a job for you, paid daily>>. [Say yes|Reply \
    yes], we need one more.
    {network}: your bill of £{8-60}.{10-99} <<will be taken on {date}. There's nothing to do.||wasn't taken \
    on {date}. Add your card at {url}>>
    {employer}: thank you for applying. <<We'll see you on {date} at {clock}, ask for {name}.||To see you on \
    {date} we need {price} for the check, ask for {name}.>>
    Your photos from {place} are ready<<! I put them in the family album, {url}||! Sign in with your email \
    password to see them, {url}>>
    Last chance to [enter|join in] the {month} draw, <<tickets from {name} at the school gate, {fee} \
    each||text your name to {short_code}, {fee} each>>. First prize is {holiday}.
    I made {sum} on {coin} <<and lost it all by {weekday}. Don't let me near it again {laugh}||and so can \
    you by {weekday}. Let me show you {laugh}>>
    {shop}: your refund of {price} <<has gone back to your card, allow {2-5} days||is ready, type your card \
    number>>. [Details|More] at {url}
    Lost {2-9} kilos since {month}! <<It's just walking with {pet}||It's just a pill with breakfast>>, [ask \
    me|tell you more {day}].
    Had a really nice time {emoji} <<same place {day}?||more of me at {url}>>
    {name}, it's {name} from work. <<Are you in {day}? I need the code for the door.||Are you in? I need \
    codes from gift cards.>> [Can't talk, in a meeting|Quick as you can].
    Tax refund of {sum}! <<Cheque came in the post, {food} on me||Cheque can't be posted, give us your \
    card>> {day}.
    {town} Council: <<your recycling day is now {weekday}||your rebate ends {weekday}>>. See {url}
    Please help, {pet} needs an operation and we're {price} short. <<We're selling cakes at {place}, come by \
    {weekday}||Send what you can to {name}, {mobile}>>
    Don't forget to vote for {name}, it's free, <<paper slips at {place}||log in with your number at \
    {url}>>, closes {clock}.
    Saw your {gadget} advert. <<Is it still going? I could come {day} with cash.||I'll take it, my driver \
    will come, send me your bank login page for the payment.>>
    You're due an upgrade on your {gadget}<<, I looked when you were on the phone to {network}, it says so \
    in your app|| from {network}, say yes and tell us your app password>>.
    Is this {name}'s number? <<I found your {thing} at {place}, it had this on the label.||I found your \
    profile and I liked your smile a lot.>>
    Working from home {day}<<, {name} is covering. Call if you need me||? {name} earns {sum}. Call if you \
    need that>> {phone}
    Emergency! <<Out of {groceries}||Out of money in {town}>>, {name} is no help, can you [send some|come|do \
    something] before {clock}?
    Your appointment is on {date} at {clock}. <<To change it call {landline}.||To keep it pay {price} at \
    {url}>>
    It's the last day of the sale, <<shall we go and look at sofas||up to {50-90}% off sofas>>? [Ends at \
    {clock}|Shuts at {clock}].
    So sorry, wrong number! <<I was after {name}. Have a good day.||But you seem nice. Have you got a \
    picture?>>
    Gran, <<I got the job!! Celebrating {day}, I'll bring {food}||I got in trouble!! Can you send {sum} \
    {day}, don't tell {parent}>>
""")
