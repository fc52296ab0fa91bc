// Sells one thing through posagent with HttpClient (.NET 8, no package). Not compiled in this project's checks: no dotnet is there.
//   POSAGENT_TOKEN=… dotnet run SALE MINOR
// Run again with the same SALE and MINOR after a crash: it is the same payment. Exit status: 0 paid, 1 not paid (other
// means), 2 refused (nothing was armed by this run: do what the text says), 3 not known yet.
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

var sale = args[0];
var minor = long.Parse(args[1]);
var key = $"cs-{sale}-{minor}"; // of the sale alone, so that a till that has crashed makes the same one
using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false })
{
    BaseAddress = new Uri(Environment.GetEnvironmentVariable("POSAGENT_URL") ?? "http://127.0.0.1:7080"),
    Timeout = TimeSpan.FromSeconds(30),
};
http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Environment.GetEnvironmentVariable("POSAGENT_TOKEN"));

// Call returns status and answer, or null where nobody answered: whether the call was carried out is not known then.
async Task<(HttpStatusCode Status, JsonElement Answer)?> Call(HttpMethod method, string path, object? body = null, string? idempotencyKey = null)
{
    using var request = new HttpRequestMessage(method, path);
    if (body is not null) request.Content = JsonContent.Create(body);
    if (idempotencyKey is not null) request.Headers.Add("Idempotency-Key", idempotencyKey);
    try
    {
        using var answer = await http.SendAsync(request);
        return (answer.StatusCode, (await answer.Content.ReadFromJsonAsync<JsonElement>()).Clone());
    }
    catch (Exception lost) when (lost is HttpRequestException or TaskCanceledException or JsonException)
    {
        return null;
    }
}

static string Code(JsonElement of) => of.TryGetProperty("code", out var code) ? code.GetString() ?? "" : "";
static bool Again((HttpStatusCode Status, JsonElement Answer) got) => got.Status == HttpStatusCode.InternalServerError || Code(got.Answer) == "stopping";
static string Said(JsonElement of, string name) => of.GetProperty(name).GetProperty("en").GetString() ?? "";

(HttpStatusCode Status, JsonElement Answer)? armed = null;
for (var i = 0; i < 5 && (armed is null || Again(armed.Value)); i++)
{
    await Task.Delay(TimeSpan.FromSeconds(i));
    armed = await Call(HttpMethod.Post, "/v1/payments", new { sale_ref = sale, amount = minor }, key);
}
if (armed is null)
{
    Console.Error.WriteLine("posagent does not answer; charge nothing again before it does");
    return 3;
}
if (armed.Value.Status != HttpStatusCode.Created) // 503 not_ready: take cash. 409: already_paid, sale_open (no other means!), till_busy
{
    Console.Error.WriteLine($"{armed.Value.Answer.GetProperty("code").GetString()}: {Said(armed.Value.Answer, "next_step")}");
    return Code(armed.Value.Answer) == "not_ready" ? 1 : 2;
}

var payment = armed.Value.Answer;
var id = payment.GetProperty("id").GetString();
var version = 0UL;
for (var i = 0; i < 20 && !payment.GetProperty("final").GetBoolean(); i++)
{
    var got = await Call(HttpMethod.Get, $"/v1/payments/{id}?since={version}&wait=10");
    if (got is null || got.Value.Status != HttpStatusCode.OK)
    {
        await Task.Delay(1000); // away: the payment goes on without us
        continue;
    }
    payment = got.Value.Answer;
    if (payment.GetProperty("version").GetUInt64() != version) Console.WriteLine($"{Said(payment, "message")} - {Said(payment, "next_step")}");
    version = payment.GetProperty("version").GetUInt64();
}
if (!payment.GetProperty("final").GetBoolean())
{
    if (payment.GetProperty("sale_may_use_other_means").GetBoolean()) return 1;
    Console.Error.WriteLine("not known yet: hand over nothing, charge nothing again");
    return 3;
}
var told = await Call(HttpMethod.Post, $"/v1/payments/{id}/acknowledge", new { }); // the cashier was told, and gives the goods
if (told is null || told.Value.Status != HttpStatusCode.OK) return 3;
Console.WriteLine($"{payment.GetProperty("status").GetString()} {payment.GetProperty("transaction_id").GetString()}");
return payment.GetProperty("status").GetString() == "paid" ? 0 : 1;
