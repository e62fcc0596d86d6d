using System.Globalization;
using BitMiracle.LibTiff.Classic;

namespace TinyZsad.Imaging;

/// <summary>
/// Collects what LibTiff.NET complains of. Its handler is one for the process and writes to the console by default, so this one takes
/// its place, collects what a thread that listens gives rise to, and passes on the rest.
/// </summary>
internal sealed class LibTiffMessages : TiffErrorHandler
{
    /// <summary>The end of a warning that is none: the codes of an early version, which are decoded completely.</summary>
    private const string OldCodes = "Old-style LZW codes, convert file.";

    private static readonly LibTiffMessages Instance = new();

    [ThreadStatic]
    private static List<string>? collected;

    /// <summary>Whether a message is being passed on, perhaps to a handler that passes it on to this one.</summary>
    [ThreadStatic]
    private static bool passing;

    private volatile TiffErrorHandler? before;

    /// <summary>Collects the messages to which a call on this thread gives rise.</summary>
    public static T Collect<T>(List<string> messages, Func<T> call)
    {
        TiffErrorHandler? current = Tiff.SetErrorHandler(Instance);
        if (current != Instance)
        {
            Instance.before = current;
        }

        collected = messages;
        try
        {
            return call();
        }
        finally
        {
            collected = null;
        }
    }

    public override void ErrorHandler(Tiff tif, string method, string format, params object[] args)
    {
        if (!IsCollected(format, args))
        {
            Pass(handler => handler.ErrorHandler(tif, method, format, args));
        }
    }

    public override void ErrorHandlerExt(Tiff tif, object clientData, string method, string format, params object[] args)
    {
        if (collected is null)
        {
            Pass(handler => handler.ErrorHandlerExt(tif, clientData, method, format, args));
        }
    }

    public override void WarningHandler(Tiff tif, string method, string format, params object[] args)
    {
        if (!IsCollected(format, args))
        {
            Pass(handler => handler.WarningHandler(tif, method, format, args));
        }
    }

    public override void WarningHandlerExt(Tiff tif, object clientData, string method, string format, params object[] args)
    {
        if (collected is null)
        {
            Pass(handler => handler.WarningHandlerExt(tif, clientData, method, format, args));
        }
    }

    private static bool IsCollected(string format, object[] args)
    {
        if (collected is { Count: 0 } && format != OldCodes)
        {
            collected.Add(string.Format(CultureInfo.InvariantCulture, format, args));
        }

        return collected is not null;
    }

    private void Pass(Action<TiffErrorHandler> message)
    {
        if (this.before is not { } handler || passing)
        {
            return;
        }

        passing = true;
        try
        {
            message(handler);
        }
        finally
        {
            passing = false;
        }
    }
}
